//! Starts a process for an export, repeats what it tells, and says how it ended where it cannot say so itself.
//! It must not know the steps of a run.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use rivet_core::clock::format_rfc3339;
use rivet_core::error::FailureClass;
use rivet_core::resolve::ExportSpec;
use rivet_core::run::Env;
use rivet_core::run::progress::Retrying;
use rivet_core::summary::{Failure, Status, Summary};
use rivet_plugin_api::data_output;

use super::{CANCEL, COMMAND, Request, Told};
use crate::cli::{Global, LogFormat, RunArgs};
use crate::documents::ProblemRow;
use crate::exit::Exit;

/// Runs an export in a process of its own, to its end.
pub fn run(spec: &ExportSpec, env: &Env<'_>, args: &RunArgs, global: &Global) -> Summary {
    let began_ms = env.clock.monotonic_ms();
    let mut summary = Summary::new(spec, "", env.clock.now_unix_ms());
    let request = Request {
        args: args.clone(),
        plugin_dir: global.plugin_dir.clone(),
        export: spec.name.clone(),
        n_at_once: spec.n_at_once,
        n_workers: spec.n_workers,
        invocation: env.invocation.to_owned(),
    };
    let failure = match start(global) {
        Err(e) => Failure {
            code: "process.start".to_owned(),
            message: format!("export '{}': failed to start a process for it: {e}", spec.name),
            hint: Some("give rivet more processes (`ulimit -u`), or use --parallel-exports".to_owned()),
            class: FailureClass::Retryable,
        },
        Ok((mut child, socket)) => {
            let heard = Heard { spec, env, summary: &mut summary }.all(&request, &socket);
            let status = child.wait();
            match heard {
                Some(Told::Ended { summary: mut told, class }) => {
                    if let (Some(error), Some(class)) = (&mut told.error, class) {
                        error.class = class;
                    }
                    return over(*told, env);
                }
                Some(Told::NotBegun { problems, exit }) => not_begun(spec, problems, exit),
                _ => crashed(spec, status.ok(), env),
            }
        }
    };
    summary.status = Status::Failed;
    summary.duration_ms = env.clock.monotonic_ms().saturating_sub(began_ms);
    summary.ended_at = Some(format_rfc3339(env.clock.now_unix_ms()));
    summary.error = Some(failure);
    over(summary, env)
}

fn over(summary: Summary, env: &Env<'_>) -> Summary {
    env.progress.finished(&summary);
    env.progress.ended(&summary.export);
    summary
}

/// A process that waits for its request, and the socket to it. Nothing of the request is on its command line or in its
/// environment. The terminal's interrupts are for the parent, which passes them on.
fn start(global: &Global) -> std::io::Result<(Child, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg0("rivet").arg(COMMAND);
    if global.quiet {
        command.arg("--quiet");
    }
    command.args((0..global.verbose).map(|_| "-v"));
    if global.log_format == LogFormat::Json {
        command.args(["--log-format", "json"]);
    }
    // An export may write to it.
    let data = data_output().map_or_else(|_| Stdio::null(), Stdio::from);
    command.stdin(OwnedFd::from(theirs)).stdout(data).process_group(0);
    Ok((command.spawn()?, ours))
}

/// What is heard of one export.
struct Heard<'a> {
    spec: &'a ExportSpec,
    env: &'a Env<'a>,
    summary: &'a mut Summary,
}

impl Heard<'_> {
    /// Asks, and listens to the end; returns the last word.
    fn all(mut self, request: &Request, socket: &UnixStream) -> Option<Told> {
        let mut line = serde_json::to_vec(request).unwrap_or_default();
        line.push(b'\n');
        let mut to = socket;
        to.write_all(&line).ok()?;
        let cancel = || {
            let mut to = socket;
            // One that has ended hears nothing.
            let _ = to.write_all(format!("{CANCEL}\n").as_bytes());
        };
        let env = self.env;
        env.cancel.cx().with_wake(&cancel, || self.listen(socket))
    }

    fn listen(&mut self, socket: &UnixStream) -> Option<Told> {
        for line in BufReader::new(socket).lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(last @ (Told::Ended { .. } | Told::NotBegun { .. })) => return Some(last),
                Ok(told) => self.pass_on(told),
                Err(e) => tracing::debug!("{}: its process said what means nothing: {e}", self.spec.name),
            }
        }
        None
    }

    fn pass_on(&mut self, told: Told) {
        let (export, progress) = (&self.spec.name, self.env.progress);
        match told {
            Told::Started { run_id } => {
                progress.started(&run_id, export);
                self.summary.run_id = run_id;
            }
            Told::Planned { plan, rows } => {
                progress.planned(&plan, rows);
                self.summary.strategy = plan.strategy;
            }
            Told::Read { rows, bytes } => progress.read(export, rows, bytes),
            Told::PartWritten { name, rows, bytes } => progress.part_written(export, &name, rows, bytes),
            Told::SplitDone { done, of } => progress.split_done(export, done, of),
            Told::Retrying { split, cause, number, of, after_ms } => {
                progress.retrying(export, &Retrying { split: &split, cause: &cause, number, of, after_ms });
            }
            Told::Warning { message } => {
                progress.warn(export, &message);
                self.summary.warnings.push(message);
            }
            Told::Ended { .. } | Told::NotBegun { .. } => {}
        }
    }
}

/// What went wrong before the export was reached, in the process that was to run it.
fn not_begun(spec: &ExportSpec, problems: Vec<ProblemRow>, exit: u8) -> Failure {
    let class = FailureClass::ALL.into_iter().find(|class| Exit::from(*class).code() == exit).unwrap_or_default();
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    let first = problems.first();
    Failure {
        code: first.map_or_else(|| "process.failed".to_owned(), |problem| problem.code.clone()),
        message: format!("export '{}': its process could not begin: {}", spec.name, messages.join("; ")),
        hint: first.and_then(|problem| problem.hint.clone()),
        class,
    }
}

/// The process ended without a word.
fn crashed(spec: &ExportSpec, status: Option<ExitStatus>, env: &Env<'_>) -> Failure {
    let how = match status.map(|status| (status.signal(), status.code())) {
        Some((Some(signal), _)) => format!("was ended by signal {signal}"),
        Some((_, Some(code))) => format!("ended with exit code {code} and said nothing"),
        _ => "is gone".to_owned(),
    };
    let class = if env.cancel.is_cancelled() { FailureClass::Interrupted } else { FailureClass::Plugin };
    let hint = match status.and_then(|status| status.signal()) {
        Some(9) => {
            "somebody killed it, or the system was short of memory: lower `memory_mb`, or run fewer at once. Run it \
                    again: what it left is discarded, or completed if its verdict was in"
        }
        _ => {
            "this is a defect of a plugin or of rivet: report it. Run it again: what it left is discarded, or completed if \
              its verdict was in"
        }
    };
    Failure {
        code: "process.crashed".to_owned(),
        message: format!("export '{}': its process {how}", spec.name),
        hint: Some(hint.to_owned()),
        class,
    }
}
