//! Row-level security: a login that sees only some of the rows exports them only where that is meant, and is told so.
//! Must not know how the server is asked.

use anyhow::{Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::postgres::{self, ROLE_PASSWORD};
use serde_json::Value;

/// Relations that a policy stands between, and the rows that the login sees.
const HIDDEN: [(&str, u64); 5] = [
    ("table: secret", 5),
    ("table: parted", 5),
    ("table: seen", 5),
    ("query: select * from secret", 5),
    ("query: select count(*) from seen", 1),
];

/// And those that no policy touches.
const OPEN: [(&str, u64); 3] = [("table: public.open", 10), ("table: by_owner", 10), ("query: select * from open", 10)];

fn place(url: &str, options: &str, relation: &str) -> Result<Workspace> {
    let text = format!(
        "source: {{type: postgres, url_env: TEST_URL, {options}tuning: {{profile: fast, max_retries: 0}}}}\n\
         exports:\n- name: t\n  destination: {{type: local, path: out}}\n  parallel: 2\n  {relation}\n"
    );
    Ok(Workspace::new(&text)?.with_variable("TEST_URL", url))
}

/// What the login is told by `run`, `check` and `doctor`, where all of them end well.
fn told(place: &Workspace, n_rows: u64) -> Result<[String; 3]> {
    let summary = place.run()?.expect(0)?.json()?["exports"][0].clone();
    ensure!(summary["rows"] == n_rows, "{summary}");
    let read = Exported::read(&place.path().join("out"))?;
    let said = |document: &Value| document["warnings"].as_array().cloned().unwrap_or_default();
    ensure!(read.n_rows() == n_rows && said(&read.manifest) == said(&summary), "{summary} {}", read.manifest);
    let check = place.rivet(&["check", "--output", "json"])?.expect(0)?.json()?;
    let doctor: Value = place.rivet(&["doctor", "-vvv", "--output", "json"])?.expect(0)?.json()?;
    Ok([summary["warnings"].to_string(), check["exports"][0]["warnings"].to_string(), doctor.to_string()])
}

#[test]
fn rows_are_not_hidden_without_a_word() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("policies")?;
    let role = format!("{database}_role");
    server.psql(
        &database,
        &format!(
            "create role {role} login password '{ROLE_PASSWORD}'; grant usage on schema public to {role};\n\
             create table open (id int); insert into open select generate_series(1, 10);\n\
             create table secret (id int); insert into secret select generate_series(1, 10);\n\
             alter table secret enable row level security; create policy half on secret using (id > 5);\n\
             create table parted (id int) partition by range (id);\n\
             create table parted_one partition of parted for values from (0) to (99);\n\
             insert into parted select generate_series(1, 10);\n\
             alter table parted enable row level security; create policy half on parted using (id > 5);\n\
             create view by_owner as select * from secret;\n\
             grant select on all tables in schema public to {role};\n\
             create view seen as select * from secret; alter view seen owner to {role}"
        ),
    )?;
    // A setting of the database changes nothing.
    server.psql("postgres", &format!("alter database {database} set row_security = off"))?;
    let url = server.url_as(&role, &database);
    for (relation, n_rows) in HIDDEN {
        let is_query = relation.starts_with("query");
        for options in ["", "row_security: error, ", "row_security: allow, "] {
            let place = place(&url, options, relation)?;
            if options.contains("allow") || (options.is_empty() && is_query) {
                for said in told(&place, n_rows)? {
                    ensure!(said.contains("row-level security may hide rows of "), "{options}{relation}: {said}");
                }
                continue;
            }
            for command in ["run", "check", "doctor"] {
                let ran = place.rivet(&[command])?.expect(1)?;
                let all = format!("{}{}", ran.text()?, ran.stderr);
                for words in ["row-level security may hide rows of ", "row_security: allow"] {
                    ensure!(all.contains(words), "{command} of {options}{relation} does not say {words}: {all}");
                }
            }
        }
    }
    for (relation, n_rows) in OPEN {
        for options in ["", "row_security: allow, "] {
            for said in told(&place(&url, options, relation)?, n_rows)? {
                ensure!(!said.contains("row-level security"), "{options}{relation}: {said}");
            }
        }
    }
    // Who sees everything is told nothing.
    for said in told(&place(&server.url(&database), "", "table: secret")?, 10)? {
        ensure!(!said.contains("row-level security"), "{said}");
    }
    Ok(())
}
