//! What runs our statements: which server, which of its connections, and whether it gave all rows of a result.
//! It must not know which statements are run.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Opts, Row, Value};

use crate::error::number;

/// What runs our statements: behind an address there may be several servers, which count their connections alike.
pub struct Backend {
    pub server: String,
    pub connection: u64,
    /// A server announces the connection that it runs statements in; a pooler announces one of its own.
    pub is_pooled: bool,
}

/// What tells a server from others.
pub const SERVER: &str = "CONCAT_WS('/', @@hostname, @@port, @@datadir)";

/// Logs in, and asks what the server is: whether MariaDB, and which.
pub async fn login(options: Opts) -> Result<(Conn, bool, Backend), Error> {
    let mut conn = Conn::new(options).await?;
    let row: Option<Row> = conn.query_first(format!("SELECT VERSION(), {SERVER}, CONNECTION_ID()")).await?;
    let text = |at| row.as_ref().and_then(|row| text_at(row, at)).unwrap_or_default();
    let connection: u64 = text(2).parse().unwrap_or_default();
    let is_pooled = connection & u64::from(u32::MAX) != u64::from(conn.id());
    let backend = Backend { server: text(1), connection, is_pooled };
    Ok((conn, text(0).contains("MariaDB"), backend))
}

pub fn text_at(row: &Row, at: usize) -> Option<String> {
    if let Some(Value::Bytes(bytes)) = row.as_ref(at) {
        Some(String::from_utf8_lossy(bytes).into_owned())
    } else {
        None
    }
}

/// Whether the result that has just ended has all its rows: MariaDB ends one at `LIMIT ROWS EXAMINED`, and a recursion at
/// its limit, with no more than a warning.
pub async fn is_whole(conn: &mut Conn) -> Result<bool, Error> {
    if conn.get_warnings() == 0 {
        return Ok(true);
    }
    let warnings: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await?;
    Ok(warnings.iter().all(|(_, number, _)| *number != number::INCOMPLETE))
}
