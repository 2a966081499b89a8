//! Others read from the stand-in what we read: python-tds and FreeTDS, which share no code with our driver.
//! Must not know any crate of the product.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use rivet_test_servers::tds_clients;
use rivet_test_tds::mssql::{self, PASSWORD, USER};

const COLUMNS: [(&str, &str); 19] = [
    ("id", "int NOT NULL"),
    ("bi", "bit"),
    ("ti", "tinyint"),
    ("bg", "bigint"),
    ("fl", "float"),
    ("de", "decimal(38,10)"),
    ("mo", "money"),
    ("sm", "smallmoney"),
    ("da", "date"),
    ("t7", "time(7)"),
    ("d7", "datetime2(7)"),
    ("dt", "datetime"),
    ("sd", "smalldatetime"),
    ("gu", "uniqueidentifier"),
    ("vc", "varchar(20)"),
    ("nv", "nvarchar(max)"),
    ("nt", "ntext"),
    ("vb", "varbinary(max)"),
    ("xm", "xml"),
];

const ROW: &str = "1, true, 255, -9223372036854775808, 0.1, -9999999999999999999999999999.9999999999, \
    -922337203685477.5808, 214748.3647, '9999-12-31', '23:59:59.9999990', '0001-01-01 00:00:00.0000010', \
    '2024-02-29 12:00:00.003', '2024-02-29 23:59:00', '00112233-4455-6677-8899-aabbccddeeff', 'Grüße €', repeat('ж', 9000), \
    'alt Ω', '\\xdeadbeef'::bytea, '<a>Ω</a>'";

#[test]
fn python_tds_reads_the_same_values() -> Result<()> {
    let server = mssql::shared();
    let database = server.fresh_database("python")?;
    server.create_table(&database, "t", &COLUMNS)?;
    server.psql(&database, &format!("insert into dbo.t values ({ROW}), (2{})", ", null".repeat(COLUMNS.len() - 1)))?;
    let script = format!(
        "import pytds\n\
         with pytds.connect('127.0.0.1', '{database}', '{USER}', '{PASSWORD}', port={}, autocommit=True) as c:\n\
         \x20   cur = c.cursor()\n\
         \x20   cur.execute('select * from dbo.t order by id')\n\
         \x20   for row in cur.fetchall():\n\
         \x20       print('|'.join('NULL' if v is None else (v.hex() if isinstance(v, bytes) else str(v)) for v in row))\n",
        server.port()
    );
    let printed = tds_clients::python(&script)?;
    let rows: Vec<Vec<&str>> = printed.lines().map(|line| line.split('|').collect()).collect();
    ensure!(rows.len() == 2, "{printed}");
    let long = "ж".repeat(9000);
    let expected = [
        "1",
        "True",
        "255",
        "-9223372036854775808",
        "0.1",
        "-9999999999999999999999999999.9999999999",
        "-922337203685477.5808",
        "214748.3647",
        "9999-12-31",
        "23:59:59.999999",
        "0001-01-01 00:00:00.000001",
        "2024-02-29 12:00:00.003000",
        "2024-02-29 23:59:00",
        "00112233-4455-6677-8899-aabbccddeeff",
        "Grüße €",
        &long,
        "alt Ω",
        "deadbeef",
        "<a>Ω</a>",
    ];
    for ((found, expected), (name, _)) in rows[0].iter().zip(expected).zip(COLUMNS) {
        ensure!(*found == expected, "{name}: {found} instead of {expected}");
    }
    ensure!(rows[1][1..].iter().all(|v| *v == "NULL"), "{:?}", rows[1]);
    Ok(())
}

#[test]
fn free_tds_reads_the_same_values() -> Result<()> {
    let server = mssql::shared();
    let database = server.fresh_database("freetds")?;
    server.create_table(&database, "t", &[("id", "int NOT NULL"), ("de", "decimal(38,10)"), ("nv", "nvarchar(20)")])?;
    server.psql(&database, "insert into dbo.t values (1, -1.5, 'Grüße Ω'), (2, null, null)")?;
    let tsql = tds_clients::tsql()?;
    let words =
        ["-H", "127.0.0.1", "-p", &server.port().to_string(), "-U", USER, "-P", PASSWORD, "-D", &database, "-o", "fhq"]
            .map(str::to_owned);
    let mut child = Command::new(tsql)
        .args(words)
        .env("TDSVER", "7.4")
        .env("LC_ALL", "C.UTF-8")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .context("start tsql")?;
    std::io::Write::write_all(&mut child.stdin.take().context("its input")?, b"select * from dbo.t order by id\ngo\n")?;
    let out = child.wait_with_output()?;
    let printed = String::from_utf8_lossy(&out.stdout).into_owned();
    ensure!(
        printed.contains("1\t-1.5000000000\tGrüße Ω") && printed.contains("2\tNULL\tNULL"),
        "{printed} {:?}",
        out.stderr
    );
    Ok(())
}
