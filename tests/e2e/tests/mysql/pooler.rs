//! Through a pooler: told where it keeps a session, refused where it does not.
//! Must not know how a pooler is recognised.

use anyhow::{Result, ensure};
use rivet_test_e2e::files_below;
use rivet_test_servers::my_pooler::{Keeps, MyPooler};

use crate::{numbers, servers, workspace};

#[test]
fn a_pooler_is_recognised_and_one_that_forgets_settings_is_refused() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("pooled")?;
        server.sql(
            &database,
            &format!(
                "create table t (id int primary key); insert into t select seq from {}; \
                 create user if not exists pooled@'%'; grant select on *.* to pooled@'%'",
                numbers(500)
            ),
        )?;
        let keeper = MyPooler::start(server.port(), Keeps::Session)?;
        let url = |port: u16| format!("mysql://pooled@127.0.0.1:{port}/{database}");
        let place = workspace(&url(keeper.port()), "table: t")?;
        for command in ["check", "doctor"] {
            let ran = place.rivet(&[command])?.expect(0)?;
            ensure!(
                format!("{}{}", ran.text()?, ran.stderr).contains("ProxySQL or the like"),
                "{command}: {}",
                ran.text()?
            );
        }
        ensure!(place.into_export()?.n_rows() == 500);
        let direct = workspace(&server.url(&database), "table: t")?.rivet(&["doctor"])?.expect(0)?;
        ensure!(!direct.text()?.contains("ProxySQL"), "{}", direct.text()?);

        let forgets = MyPooler::start(server.port(), Keeps::Transaction)?;
        let place = workspace(&url(forgets.port()), "table: t")?;
        let ran = place.rivet(&["run", "--output", "json"])?.expect(1)?;
        let error = &ran.json()?["exports"][0]["error"];
        ensure!(error["code"] == "mysql.pooler" && error["hint"].to_string().contains("multiplex"), "{error}");
        ensure!(files_below(&place.path().join("out"))?.is_empty());
        for command in ["check", "doctor"] {
            let ran = place.rivet(&[command])?;
            let said = format!("{}{}", ran.text()?, ran.stderr);
            ensure!(ran.code != Some(0) && said.contains("a pooler in between"), "{command} {:?}: {said}", ran.code);
        }
    }
    Ok(())
}
