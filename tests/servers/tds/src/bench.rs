//! The two sides of a measurement: a server that only repeats itself, and a client that throws away what it reads. They show what
//! the product adds to its driver, not how fast a SQL Server is. Must not know who else reads.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result};
use futures_util::TryStreamExt;
use futures_util::io::AllowStdIo;
use rivet_test_tds::mssql::{Encryption, Mssql, PASSWORD, USER};
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};

/// As `lineitem` of TPC-H has them.
const COLUMNS: [(&str, &str); 16] = [
    ("l_orderkey", "bigint NOT NULL"),
    ("l_partkey", "int NOT NULL"),
    ("l_suppkey", "int NOT NULL"),
    ("l_linenumber", "int NOT NULL"),
    ("l_quantity", "decimal(15,2) NOT NULL"),
    ("l_extendedprice", "decimal(15,2) NOT NULL"),
    ("l_discount", "decimal(15,2) NOT NULL"),
    ("l_tax", "decimal(15,2) NOT NULL"),
    ("l_returnflag", "char(1) NOT NULL"),
    ("l_linestatus", "char(1) NOT NULL"),
    ("l_shipdate", "date NOT NULL"),
    ("l_commitdate", "date NOT NULL"),
    ("l_receiptdate", "date NOT NULL"),
    ("l_shipinstruct", "char(25) NOT NULL"),
    ("l_shipmode", "char(10) NOT NULL"),
    ("l_comment", "varchar(44) NOT NULL"),
];

/// Serves `dbo.lineitem` with so many rows until standard input ends; one line of JSON says where.
pub fn serve(n_rows: u64) -> Result<()> {
    let server = Mssql::start(Encryption::Absent)?;
    let database = server.fresh_database("bench")?;
    server.create_table(&database, "lineitem", &COLUMNS)?;
    let day = |n: u32| format!("(date '1992-01-01' + (i * {n} % 2500)::int)::text");
    server.psql(
        &database,
        &format!(
            "insert into dbo.lineitem select i / 4 + 1, i * 7919 % 200000, i * 104729 % 10000, i % 4 + 1, i % 50 + 1, \
             (i * 31 % 10000000) / 100.0, (i % 11) / 100.0, (i % 9) / 100.0, substr('ANR', i::int % 3 + 1, 1), \
             substr('FO', i::int % 2 + 1, 1), {}, {}, {}, rpad(split_part('COLLECT COD,NONE,TAKE BACK RETURN', ',', i::int % 3 + 1), 25), \
             rpad(split_part('AIR,MAIL,SHIP,TRUCK', ',', i::int % 4 + 1), 10), substr(md5(i::text) || md5((-i)::text), 1, 10 + i::int % 34) \
             from generate_series(1::bigint, {n_rows}) i; analyze dbo.lineitem",
            day(7),
            day(11),
            day(13)
        ),
    )?;
    server.repeat();
    println!("{{\"url\": \"{}\"}}", server.url(&database));
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new()).context("read standard input")?;
    drop(server);
    Ok(())
}

/// Reads a table by the driver alone, and nothing is kept of a row.
pub fn discard(table: &str) -> Result<()> {
    let url = std::env::var("BENCH_URL").context("BENCH_URL says where")?;
    let place = url.rsplit_once('@').map_or("", |(_, place)| place);
    let (address, database) = place.split_once('/').context("a database in BENCH_URL")?;
    let mut config = Config::new();
    config.encryption(EncryptionLevel::NotSupported);
    config.authentication(AuthMethod::sql_server(USER, PASSWORD));
    config.database(database);
    // As the product asks for.
    config.packet_size(16_383);
    tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
        let socket = TcpStream::connect(address).context("connect")?;
        socket.set_nodelay(true)?;
        // It waits in each call: there is nothing else to do.
        let mut client = Client::connect(config, AllowStdIo::new(socket)).await.context("log in")?;
        let mut stream = client.simple_query(format!("SELECT * FROM dbo.{table}")).await.context("ask")?;
        let mut n_rows = 0_u64;
        while let Some(item) = stream.try_next().await.context("read")? {
            n_rows += u64::from(item.into_row().is_some());
        }
        println!("{n_rows} rows");
        Ok(())
    })
}
