//! What others do to a table while it is exported, committed at every point of a run: the rows of one committed state.
//! Must not know any crate of the product: it sees a program, its files and the server.

#![allow(clippy::print_stdout, reason = "a matrix says what it has covered")]

mod gate;
mod kinds;
mod matrix;
mod queue;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rivet_test_servers::postgres::{self, Postgres};

/// Functions by which a script waits for others without a process for each look.
const HELPERS: &str = "
create function waiting(app text) returns boolean language sql volatile as
  'select exists (select from pg_stat_activity where application_name = app and wait_event_type = ''Lock'')';
create function await_waiting(app text, ms int) returns boolean language plpgsql as
  'begin
     for i in 1..ms / 10 loop
       perform pg_stat_clear_snapshot();
       if waiting(app) then return true; end if;
       perform pg_sleep(0.01);
     end loop;
     return false;
   end';
create function await_advisory(k int) returns boolean language plpgsql as
  'begin
     for i in 1..1500 loop
       if exists (select from pg_locks where locktype = ''advisory'' and objid::bigint = k) then return true; end if;
       perform pg_sleep(0.01);
     end loop;
     return false;
   end';";

/// A database with the helpers.
fn database(server: &Postgres, name: &str) -> Result<String> {
    let database = server.fresh_database(name)?;
    server.psql(&database, HELPERS)?;
    Ok(database)
}

/// Starts a script as an application of this name; it ends at the first error.
fn script(server: &Postgres, database: &str, app: &str, sql: &str) -> Result<Child> {
    Command::new(postgres::find_psql()?)
        .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", &server.url(database), "-c", sql])
        .env("PGAPPNAME", app)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start psql")
}

/// What a script printed, once it ended well.
fn printed(script: Child) -> Result<String> {
    let ended = script.wait_with_output()?;
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

/// Waits until a script has ended, or waits for a lock.
fn blocked_or_over(server: &Postgres, database: &str, app: &str, script: &mut Child) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(20);
    while script.try_wait()?.is_none() {
        ensure!(Instant::now() < until, "the change neither ends nor waits");
        if server.psql(database, &format!("select await_waiting('{app}', 50)"))?.trim() == "t" {
            break;
        }
    }
    Ok(())
}
