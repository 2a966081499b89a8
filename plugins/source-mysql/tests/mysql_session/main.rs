//! Sessions of the source over real servers, called as core calls them.
//! It must not know how a statement is written.

mod keys;

use anyhow::Result;
use rivet_plugin_api::{Connection, Cx, OpenGroup, Relation, Scan, Secret, Session, SessionGroup, Source};
use rivet_source_mysql::{Mysql, MysqlOptions};

fn open(url: &str, cx: &Cx) -> Result<SessionGroup> {
    let connection = Connection { url: Some(Secret::new(url)), ..Connection::default() };
    Ok(Mysql::open_group(OpenGroup { connection, ..OpenGroup::new(MysqlOptions::default()) }, cx)?)
}

fn query(sql: &str) -> Relation {
    Relation::Query { sql: sql.to_owned() }
}

/// The scan of all columns.
fn scan(session: &mut dyn Session, relation: Relation, cx: &Cx) -> Result<Scan> {
    let columns = session.describe(&relation, cx)?.columns;
    Ok(Scan::new(relation, columns))
}

fn count(session: &mut dyn Session, scan: &Scan, cx: &Cx) -> Result<usize> {
    let mut stream = session.scan(scan, cx)?;
    let mut n_rows = 0;
    while let Some(batch) = stream.next(cx)? {
        n_rows += batch.num_rows();
    }
    Ok(n_rows)
}
