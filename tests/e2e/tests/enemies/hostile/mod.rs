//! Servers that follow a script: what they send, and how a run against them has to end.
//! Must not know what a client of ours does to survive them.

mod ends;
pub mod lengths;
mod login;
pub mod text;
mod tls;

use std::time::Duration;

use anyhow::{Result, ensure};
use rivet_test_e2e::{CANARY, Workspace, holds};
use rivet_test_servers::hostile::{Hostile, Step};
use rivet_test_servers::wire::postgres::{
    FromClient, authentication, is_password, is_startup, is_statement, key, parameter, ready,
};

use crate::cases;
use crate::judge::{Expect, ended, run};

/// Seconds that the URL gives for connecting and logging in, and for the statements that set a session up.
const LIMIT_S: u64 = 2;
/// This machine under an address that nobody takes for its own: a server that has to prove who it is.
const STRANGER: &str = "0.0.0.0";

const CONFIG: &str = "source: {type: postgres, url_env: TEST_URL, tuning: {profile: fast, max_retries: 0}}\n\
     exports: [{name: t, table: public.t, destination: {type: local, path: out}}]\n";

/// A script, and how a run against it ends.
struct Case {
    name: String,
    script: Vec<Step>,
    login: Login,
    /// A parameter of the URL.
    tls: &'static str,
    expect: Expect,
    verdict: Verdict,
    /// Whether the case is about what a person sees, with all that there is to see.
    seen: bool,
}

/// What the URL says about the user.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Login {
    /// A password, which a server has to ask for in a way that proves that it knows it.
    Password,
    /// None: whoever admits us is the right server.
    Trust,
}

/// What the server may have heard.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// At most so many answers to its authentication requests, none with the password, and no statement.
    Answers(usize),
    /// A statement at least.
    Statement,
    /// Anything but the password.
    Any,
}

impl Case {
    /// Against a client with a password over loopback in the clear: it answers so often and sends no statement.
    fn login(name: impl Into<String>, n_answers: usize, script: Vec<Step>, expect: Expect) -> Self {
        let verdict = Verdict::Answers(n_answers);
        Self { name: name.into(), script, login: Login::Password, tls: "sslmode=disable", expect, verdict, seen: false }
    }

    /// Against a client without a password that was admitted: this is what its first statement is answered with.
    fn statement(name: impl Into<String>, answer: Vec<Step>, expect: Expect) -> Self {
        let mut script = admitted();
        script.push(Step::Until(is_statement));
        script.extend(answer);
        let verdict = Verdict::Statement;
        Self { name: name.into(), script, login: Login::Trust, tls: "sslmode=disable", expect, verdict, seen: false }
    }

    fn under_tls(mut self, mode: &'static str) -> Self {
        self.tls = mode;
        self
    }

    fn seen(mut self) -> Self {
        self.seen = true;
        self
    }

    fn trusting(mut self) -> Self {
        self.login = Login::Trust;
        self
    }

    fn judge(&self, server: &Hostile) -> Result<()> {
        let login = if self.login == Login::Password { format!("u:{CANARY}") } else { "u".to_owned() };
        let url = format!("postgres://{login}@{STRANGER}:{}/d?connect_timeout={LIMIT_S}&{}", server.port(), self.tls);
        let place = Workspace::new(CONFIG)?.with_variable("TEST_URL", &url);
        let limit = Duration::from_secs(LIMIT_S);
        let mut ways = vec![&["run", "--output", "json"][..]];
        ways.extend(self.seen.then_some(&["run", "-vvv"][..]));
        let all = ways.iter().map(|words| run(&place, words, limit)).collect::<Result<Vec<_>>>()?;
        let heard = server.heard();
        ensure!(!heard.frames.is_empty(), "nobody came");
        ensure!(!holds(&heard.bytes, CANARY), "the server was told the password");
        let count = |what: fn(&[u8]) -> bool| heard.frames.iter().filter(|f| what(f)).count();
        let (n_answers, n_statements) = (count(is_password), count(is_statement));
        match self.verdict {
            Verdict::Answers(n) => {
                let n = n.saturating_mul(ways.len());
                ensure!(n_answers <= n, "{n_answers} answers to its requests instead of {n}");
                ensure!(n_statements == 0, "a statement for a server that proved nothing");
            }
            Verdict::Statement => ensure!(n_statements > 0, "no statement came"),
            Verdict::Any => {}
        }
        all.iter().try_for_each(|ran| ended(&place, ran, limit, self.expect))
    }
}

/// Runs all of them; each has a server of its own.
fn all(cases: Vec<Case>) -> Result<()> {
    let with_server = |mut case: Case| -> Result<(Case, Hostile)> {
        let script = std::mem::take(&mut case.script);
        let server = Hostile::start(|| Box::new(FromClient::default()), script)?;
        Ok((case, server))
    };
    let cases = cases.into_iter().map(with_server).collect::<Result<Vec<_>>>()?;
    cases::each(cases::SOME, &cases, |(case, _)| case.name.clone(), |(case, server)| case.judge(server))
}

/// Begins a session in the clear.
fn started() -> Vec<Step> {
    vec![Step::Until(is_startup)]
}

/// The script after a start in the clear.
fn then(steps: impl IntoIterator<Item = Step>) -> Vec<Step> {
    started().into_iter().chain(steps).collect()
}

/// Admits a client without a password, as a server does.
fn admitted() -> Vec<Step> {
    then([Step::Send([authentication(0, &[]), parameter("server_version", "17.10"), key(), ready(b'I')].concat())])
}
