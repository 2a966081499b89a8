//! What stands between an export and its run: the source and each destination, probed step by step.
//! It must not know engines, nor how probes are shown: which steps a connection takes, the plugin says.

use rivet_plugin_api::{Choices, ErrorKind, PluginError, Session, Snapshot};

use crate::error::RunError;
use crate::project;
use crate::resolve::ExportSpec;
use crate::run::{Env, new_run_id};

/// Detail of a plugin's error: the step of a connection that failed, such as `tls`.
const STAGE: &str = "stage";
/// Detail of a plugin's error: all steps of the connection in their order, separated by spaces.
const STEPS: &str = "steps";
/// Steps of a connection where the plugin names only the one that failed.
const USUAL_STEPS: [&str; 4] = ["resolve", "tcp", "tls", "login"];
/// Steps before anybody knows who is talking: what fails there is the way, not the login.
const ON_THE_WAY: [&str; 3] = ["resolve", "tcp", "tls"];

/// What kind of trouble a failed probe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    /// Login, permission or identity.
    Auth,
    /// The other side cannot be reached, or cannot be talked to.
    Connectivity,
    /// A name that does not exist there.
    NotFound,
    /// Anything else.
    Other,
}

/// How a probe ended.
#[derive(Debug)]
pub enum Outcome {
    /// It went well; with what was learnt, if anything.
    Ok(Option<String>),
    /// It was not made, since an earlier one failed or there is nothing to probe; with the reason where it is the latter.
    Skipped(Option<String>),
    /// It went well, and something could be safer; with what, and what to do.
    Warning(String),
    /// It failed.
    Failed(RunError),
}

/// One probe.
#[derive(Debug)]
pub struct Probe {
    /// `password`; `resolve`, `tcp`, `tls`, `login` and the like as the plugin calls its steps; then `open`, `protection`,
    /// `leftovers`, `server`, `pooler` and `grants` of a source, `open` and `write` of a destination.
    pub name: String,
    /// Export that it is about, if it is about one.
    pub export: Option<String>,
    /// What exactly is probed, such as the relation.
    pub subject: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}

/// The source or a destination with its probes.
#[derive(Debug)]
pub struct Examined {
    /// `source` or `destination`.
    pub kind: &'static str,
    /// Plugin.
    pub plugin: String,
    /// Where it is, without credentials; none when that is not known.
    pub identity: Option<String>,
    /// In the order in which they were made.
    pub probes: Vec<Probe>,
}

/// Probes the source that all exports share, then each distinct destination. Every probe is made once: a doctor says
/// how things are now.
pub fn examine(specs: &[ExportSpec], env: &Env<'_>) -> Vec<Examined> {
    let mut all = Vec::new();
    if let Some(first) = specs.first() {
        all.push(source(first, specs, env));
    }
    let mut known: Vec<&str> = Vec::new();
    for spec in specs {
        if !known.contains(&spec.destination_identity.as_str()) {
            known.push(&spec.destination_identity);
            all.push(destination(spec, env));
        }
    }
    all
}

fn source(first: &ExportSpec, specs: &[ExportSpec], env: &Env<'_>) -> Examined {
    let mut examined =
        Examined { kind: "source", plugin: first.source.info().name.clone(), identity: None, probes: Vec::new() };
    let probes = &mut examined.probes;
    if let Some(key) = first.password_key {
        probes.push(Probe::new("password", Outcome::Warning(in_clear(key))));
    }
    let opened = open(first, env).map(|(mut session, server)| {
        let health = session.health(&env.cancel.cx());
        (session, server, health)
    });
    let (session, health) = match opened {
        Err(error) => {
            connection_failed(error, probes);
            probes.push(Probe::new("server", Outcome::Skipped(None)));
            if probes.iter().any(|probe| probe.name == "tcp") {
                probes.push(Probe::new("pooler", Outcome::Skipped(None)));
            }
            probes.extend(specs.iter().map(|spec| Probe::grants(spec, Outcome::Skipped(None))));
            return examined;
        }
        Ok((session, server, health)) => {
            examined.identity = Some(server).filter(|text| !text.is_empty());
            (session, health)
        }
    };
    let mut reusable = None;
    match health {
        Ok(health) => {
            connected(&health.steps, probes);
            probes.extend(health.warnings.into_iter().map(|told| Probe::new("protection", Outcome::Warning(told))));
            probes.extend(health.leftovers.into_iter().map(|told| Probe::new("leftovers", Outcome::Warning(told))));
            let standby = if health.standby { ", a standby" } else { "" };
            let known = Some(health.server_version).filter(|version| !version.is_empty());
            probes.push(Probe::new("server", Outcome::Ok(known.map(|version| format!("{version}{standby}")))));
            let over_network = health.steps.iter().any(|step| step == "tcp");
            if health.pooler.is_some() || over_network {
                let found = health.pooler.unwrap_or_else(|| "none was recognised".to_owned());
                probes.push(Probe::new("pooler", Outcome::Ok(Some(found))));
            }
            reusable = Some((session, first.session_choices()));
        }
        Err(error) => {
            connected(&[], probes);
            let error = RunError::plugin("ask for the state of", "the server")(error);
            probes.push(Probe::new("server", Outcome::Failed(error)));
        }
    }
    for spec in specs {
        let outcome = readable(spec, &mut reusable, env).map_or_else(Outcome::Failed, Outcome::Ok);
        probes.push(Probe::grants(spec, outcome));
    }
    if let Some((mut session, _)) = reusable {
        // What was asked is answered; how the session ends changes nothing.
        let _ = session.end(&env.cancel.cx());
    }
    examined
}

/// A password that everybody reads who reads the config.
fn in_clear(key: &str) -> String {
    let instead = if key == "url" { "`url_env: DATABASE_URL`" } else { "`password_env: NAME`" };
    format!("the config holds a password in clear, in `source.{key}`: write {instead} and set the variable")
}

fn open(spec: &ExportSpec, env: &Env<'_>) -> Result<(Box<dyn Session>, String), RunError> {
    let group = spec.open_sessions("", 1, &Snapshot::New, None, &env.cancel.cx())?;
    let session = group.sessions.into_iter().next();
    let session = session.ok_or_else(|| RunError::Internal("the source opened no session".to_owned()))?;
    Ok((session, group.snapshot.server))
}

/// All steps of a connection went well.
fn connected(steps: &[String], probes: &mut Vec<Probe>) {
    for step in steps {
        probes.push(Probe::new(step, Outcome::Ok(None)));
        if step == "tcp" && !steps.iter().any(|other| other == "tls") {
            probes.push(Probe::new("tls", Outcome::Skipped(Some("not asked for: plain text".to_owned()))));
        }
    }
    probes.push(Probe::new("open", Outcome::Ok(None)));
}

/// What was before the step that failed went well, what comes after it was not tried.
fn connection_failed(error: RunError, probes: &mut Vec<Probe>) {
    let (stage, steps) = match &error {
        RunError::Plugin { source, .. } => (source.get(STAGE).map(str::to_owned), steps_of(source)),
        _ => (None, Vec::new()),
    };
    let Some(stage) = stage else {
        probes.push(Probe::new("open", Outcome::Failed(error)));
        return;
    };
    let (before, after) = match steps.iter().position(|step| *step == stage) {
        Some(at) => (&steps[..at], &steps[at + 1..]),
        None => (&steps[..0], &steps[..0]),
    };
    probes.extend(before.iter().map(|step| Probe::new(step, Outcome::Ok(None))));
    probes.push(Probe::new(&stage, Outcome::Failed(error)));
    probes.extend(after.iter().map(|step| Probe::new(step, Outcome::Skipped(None))));
    probes.push(Probe::new("open", Outcome::Skipped(None)));
}

fn steps_of(error: &PluginError) -> Vec<String> {
    match error.get(STEPS) {
        Some(steps) => steps.split_whitespace().map(str::to_owned).collect(),
        None => USUAL_STEPS.map(str::to_owned).to_vec(),
    }
}

/// A session, and the choices it was opened with.
type Reusable = Option<(Box<dyn Session>, Choices)>;

/// Whether the relation is there, may be read, and has the columns that the export names. A session that failed, or
/// was opened with other choices, is replaced.
fn readable(spec: &ExportSpec, reusable: &mut Reusable, env: &Env<'_>) -> Result<Option<String>, RunError> {
    let cx = env.cancel.cx();
    let choices = spec.session_choices();
    // One that cannot be used ends before the next one begins: there may be room for one connection only.
    let kept = reusable.take().filter(|(_, opened_with)| *opened_with == choices);
    let mut session = match kept {
        Some((session, _)) => session,
        None => open(spec, env)?.0,
    };
    let label = spec.relation.label();
    let schema = session.describe(&spec.relation, &cx).map_err(RunError::plugin("describe", label))?;
    *reusable = Some((session, choices));
    let columns = project::columns(schema, &spec.select(), &spec.choices(), spec.meta_columns, &spec.relation)?;
    let n_columns = columns.columns.len();
    let warnings: String = columns.warnings.iter().map(|warning| format!("; {warning}")).collect();
    Ok(Some(format!("{n_columns} column{}{warnings}", if n_columns == 1 { "" } else { "s" })))
}

fn destination(spec: &ExportSpec, env: &Env<'_>) -> Examined {
    let mut examined = Examined {
        kind: "destination",
        plugin: spec.destination.info().name.clone(),
        identity: Some(spec.destination_identity.clone()),
        probes: Vec::new(),
    };
    let probes = &mut examined.probes;
    let cx = env.cancel.cx();
    let store = match spec.open_store(&new_run_id(env), &cx) {
        Ok(store) => store,
        Err(error) => {
            connection_failed(error, probes);
            probes.push(Probe::new("write", Outcome::Skipped(None)));
            return examined;
        }
    };
    let at = spec.destination_identity.clone();
    let probed = store.probe(&cx).map_err(RunError::plugin("write to the destination", at));
    match probed {
        Ok(()) => {
            probes.push(Probe::new("open", Outcome::Ok(None)));
            probes.push(Probe::new("write", Outcome::Ok(None)));
        }
        // A store that connects when it is first used says then which step failed.
        Err(RunError::Plugin { source, step, at, attempts }) if source.get(STAGE).is_some() => {
            connection_failed(RunError::Plugin { source, step, at, attempts }, probes);
            probes.push(Probe::new("write", Outcome::Skipped(None)));
        }
        Err(error) => {
            probes.push(Probe::new("open", Outcome::Ok(None)));
            probes.push(Probe::new("write", Outcome::Failed(error)));
        }
    }
    examined
}

impl Probe {
    fn new(name: &str, outcome: Outcome) -> Self {
        Self { name: name.to_owned(), export: None, subject: None, outcome }
    }

    fn grants(spec: &ExportSpec, outcome: Outcome) -> Self {
        let (export, subject) = (Some(spec.name.clone()), Some(spec.relation.label()));
        Self { export, subject, ..Self::new("grants", outcome) }
    }
}

impl Category {
    /// The word that machines and people read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Connectivity => "connectivity",
            Self::NotFound => "not found",
            Self::Other => "other",
        }
    }

    /// The category of a failure, by its kind and by how far the connection came; never by its text.
    pub fn of(error: &RunError) -> Self {
        let RunError::Plugin { source, .. } = error else { return Self::Other };
        let on_the_way = source.get(STAGE).is_some_and(|stage| ON_THE_WAY.contains(&stage));
        match source.kind() {
            ErrorKind::Auth => Self::Auth,
            ErrorKind::NotFound if !on_the_way => Self::NotFound,
            ErrorKind::Connection | ErrorKind::Timeout | ErrorKind::Capacity => Self::Connectivity,
            ErrorKind::NotFound | ErrorKind::Unsupported | ErrorKind::Io | ErrorKind::Internal if on_the_way => {
                Self::Connectivity
            }
            _ => Self::Other,
        }
    }
}

/// What to do about a failure: its own hint, or what helps with its category.
pub fn fix(error: &RunError) -> String {
    let usual = match Category::of(error) {
        Category::Auth => "check user, password and rights",
        Category::Connectivity => "check that it is up and can be reached from here",
        Category::NotFound => "check the name in the config",
        Category::Other => "check the config",
    };
    error.hint().unwrap_or_else(|| usual.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: ErrorKind, details: &[(&str, &str)]) -> RunError {
        let error = PluginError::new(kind, "x", "timeout, not found, password");
        RunError::plugin("connect to the source", "")(
            details.iter().fold(error, |error, (key, value)| error.detail(key, value)),
        )
    }

    /// `name+` went well, `name!` failed, `name` was skipped.
    fn shown(error: RunError) -> String {
        let mut probes = Vec::new();
        connection_failed(error, &mut probes);
        let one = |probe: &Probe| {
            let mark = match probe.outcome {
                Outcome::Ok(_) | Outcome::Warning(_) => "+",
                Outcome::Failed(_) => "!",
                Outcome::Skipped(_) => "",
            };
            format!("{}{mark}", probe.name)
        };
        probes.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_stage_divides_the_steps() {
        let cases: [(&[(&str, &str)], &str); 6] = [
            (&[], "open!"),
            (&[("stage", "tcp")], "resolve+ tcp! tls login open"),
            (&[("stage", "login"), ("steps", "resolve tcp login")], "resolve+ tcp+ login! open"),
            (&[("stage", "socket"), ("steps", "socket login")], "socket! login open"),
            (&[("stage", "bucket")], "bucket! open"),
            (&[("stage", "resolve"), ("steps", "")], "resolve! open"),
        ];
        for (details, expected) in cases {
            assert_eq!(shown(failed(ErrorKind::Connection, details)), expected, "{details:?}");
        }
    }

    #[test]
    fn categories_follow_kind_and_stage_never_text() {
        use Category::{Auth, Connectivity, NotFound, Other};
        for (kind, stage, category) in [
            (ErrorKind::Auth, "login", Auth),
            (ErrorKind::Auth, "tls", Auth),
            (ErrorKind::NotFound, "login", NotFound),
            (ErrorKind::NotFound, "resolve", Connectivity),
            (ErrorKind::Unsupported, "tls", Connectivity),
            (ErrorKind::Unsupported, "login", Other),
            (ErrorKind::Timeout, "tcp", Connectivity),
            (ErrorKind::Capacity, "login", Connectivity),
            (ErrorKind::Config, "tls", Other),
            (ErrorKind::Data, "", Other),
        ] {
            let error = failed(kind, &[("stage", stage)]);
            assert_eq!(Category::of(&error), category, "{kind:?} {stage}");
            assert!(!fix(&error).is_empty());
        }
        assert_eq!(Category::of(&RunError::Interrupted), Other);
    }
}
