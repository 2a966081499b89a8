//! Sessions against a stand-in for SQL Server: what is described, read, cut and refused.
//! Must not know files, runs or the binary.

use anyhow::{Context, Result, ensure};
use rivet_plugin_api::arrow_array::cast::AsArray;
use rivet_plugin_api::arrow_array::types::{
    Date32Type, Decimal128Type, Int32Type, Time64MicrosecondType, TimestampMicrosecondType, UInt8Type,
};
use rivet_plugin_api::{
    Aggregate, CancelToken, Choices, ColumnChoice, Connection, ErrorKind, Filter, KeyCut, KeyRange, KeyStep, KeyValue,
    LogicalType, Measure, OpenGroup, PluginError, Policies, Relation, Scan, Secret, Session, Source, Split,
    SplitRequest, SubMicrosecond,
};
use rivet_source_mssql::{Mssql as Plugin, MssqlOptions};
use rivet_test_tds::mssql::{self, Encryption, Fault, Mssql, PASSWORD};

fn open(url: &str, choices: Choices) -> Result<Box<dyn Session>, PluginError> {
    let mut request = OpenGroup::new(MssqlOptions::default());
    request.connection = Connection { url: Some(Secret::new(url)), ..Connection::default() };
    request.choices = choices;
    let token = CancelToken::new();
    let mut group = Plugin::open_group(request, &token.cx())?;
    Ok(group.sessions.remove(0))
}

fn table(name: &str) -> Relation {
    Relation::Table { schema: Some("dbo".to_owned()), name: name.to_owned() }
}

/// The first column of all rows of a split, as numbers.
fn ids(
    session: &mut dyn Session,
    relation: &Relation,
    split: Option<Split>,
    filter: Filter,
) -> Result<Vec<i32>, PluginError> {
    let token = CancelToken::new();
    let cx = token.cx();
    let columns = session.describe(relation, &cx)?.columns;
    let scan = Scan { split, filter, max_batch_rows: 7, ..Scan::new(relation.clone(), columns[..1].to_vec()) };
    let mut stream = session.scan(&scan, &cx)?;
    let mut all = Vec::new();
    while let Some(batch) = stream.next(&cx)? {
        all.extend(batch.column(0).as_primitive::<Int32Type>().values().iter().copied());
    }
    Ok(all)
}

fn orders(server: &Mssql, name: &str) -> Result<String> {
    let database = server.fresh_database(name)?;
    let columns = [("id", "int NOT NULL"), ("shop", "varchar(20) NOT NULL"), ("at", "datetime2(7)")];
    server.create_table(&database, "orders", &columns)?;
    server.psql(
        &database,
        "alter table dbo.orders add primary key (id); create unique index by_shop on dbo.orders (shop, id); \
         set search_path = dbo, sys; insert into dbo.orders select i, 'shop ' || i % 3, \
         sys.moment_text('2024-01-01'::timestamp + i * interval '1 hour') from generate_series(1, 100) i; analyze dbo.orders",
    )?;
    Ok(database)
}

#[test]
fn values_are_decoded_exactly() -> Result<()> {
    let server = mssql::shared();
    let database = server.fresh_database("values")?;
    let columns = [
        ("ti", "tinyint"),
        ("d38", "decimal(38,10)"),
        ("mo", "money"),
        ("da", "date"),
        ("t7", "time(7)"),
        ("dt", "datetime"),
        ("sd", "smalldatetime"),
        ("of", "datetimeoffset(7)"),
        ("gu", "uniqueidentifier"),
        ("vc", "varchar(20)"),
        ("u8", "varchar(20) COLLATE Latin1_General_100_CI_AS_SC_UTF8"),
        ("nm", "nvarchar(max)"),
        ("im", "image"),
        ("sv", "sql_variant"),
        ("hi", "hierarchyid"),
        ("ge", "geometry"),
        ("xm", "xml"),
    ];
    server.create_table(&database, "t", &columns)?;
    server.psql(
        &database,
        "insert into dbo.t values (255, -9999999999999999999999999999.9999999999, 922337203685477.5807, '0001-01-01', \
         '23:59:59.9999990', '2024-02-29 12:00:00.003', '2079-06-06 23:59:00', '1970-01-01 02:00:00.0000010 +02:00', \
         '00112233-4455-6677-8899-aabbccddeeff', 'Grüße €', '漢字', repeat('ж', 9000), '\\x00ff'::bytea, 'any', '/1/', \
         '\\x000000000101'::bytea, '<a/>'); insert into dbo.t default values",
    )?;
    let mut session = open(&server.url(&database), Choices::default())?;
    let (token, relation) = (CancelToken::new(), table("t"));
    let cx = token.cx();
    let described = session.describe(&relation, &cx)?;
    let natives: Vec<&str> = described.columns.iter().map(|c| c.native_type.as_str()).collect();
    assert_eq!(natives[..3], ["tinyint", "decimal(38,10)", "money"]);
    let mut stream = session.scan(&Scan::new(relation, described.columns), &cx)?;
    let batch = stream.next(&cx)?.context("a batch")?;
    ensure!(stream.next(&cx)?.is_none(), "one batch");
    let column = |name: &str| batch.column_by_name(name).expect(name).clone();
    assert_eq!(column("ti").as_primitive::<UInt8Type>().value(0), 255);
    let decimal = |name: &str| column(name).as_primitive::<Decimal128Type>().value(0);
    assert_eq!(decimal("d38"), -99_999_999_999_999_999_999_999_999_999_999_999_999);
    assert_eq!(decimal("mo"), 9_223_372_036_854_775_807);
    assert_eq!(column("da").as_primitive::<Date32Type>().value(0), -719_162);
    assert_eq!(column("t7").as_primitive::<Time64MicrosecondType>().value(0), 86_399_999_999);
    let moment = |name: &str| column(name).as_primitive::<TimestampMicrosecondType>().value(0);
    assert_eq!((moment("dt"), moment("sd"), moment("of")), (1_709_208_000_003_000, 3_453_321_540_000_000, 1));
    let long = "ж".repeat(9000);
    for (name, text) in [
        ("gu", "00112233-4455-6677-8899-aabbccddeeff"),
        ("vc", "Grüße €"),
        ("u8", "漢字"),
        ("nm", &long),
        ("sv", "any"),
        ("hi", "/1/"),
        ("xm", "<a/>"),
    ] {
        assert_eq!(column(name).as_string::<i32>().value(0), text, "{name}");
    }
    assert_eq!(column("im").as_binary::<i32>().value(0), [0, 255]);
    assert_eq!(column("ge").as_binary::<i32>().value(0), [1, 1]);
    ensure!(batch.columns().iter().all(|c| c.len() == 2 && c.null_count() == 1), "a row of NULLs");
    Ok(())
}

#[test]
fn rows_are_described_counted_and_cut() -> Result<()> {
    let server = mssql::shared();
    let database = orders(server, "cut")?;
    let mut session = open(&server.url(&database), Choices::default())?;
    let (token, relation) = (CancelToken::new(), table("orders"));
    let cx = token.cx();
    let described = session.describe(&relation, &cx)?;
    assert_eq!(described.keys, [vec!["id".to_owned()], vec!["shop".to_owned(), "id".to_owned()]]);
    ensure!(described.cursors.context("cursors")?.iter().any(|c| c.name == "id" && c.indexed));
    assert_eq!(session.estimate(&relation, &cx)?.rows, Some(100));
    for (key, step) in [
        (vec!["id"], KeyStep::Rows(30)),
        (vec!["shop", "id"], KeyStep::Rows(30)),
        (vec!["shop", "id"], KeyStep::Even),
        (vec!["at"], KeyStep::Days(1)),
    ] {
        let cut = KeyCut { key: key.iter().map(|k| (*k).to_owned()).collect(), step };
        let request = SplitRequest { along: Some(cut), ..SplitRequest::new(relation.clone(), 4) };
        let splits = session.split(&request, &cx)?;
        ensure!(splits.len() >= 4, "{key:?}: {splits:?}");
        let mut all = Vec::new();
        for split in splits {
            all.extend(ids(&mut *session, &relation, Some(split), Filter::default())?);
        }
        all.sort_unstable();
        assert_eq!(all, (1..=100).collect::<Vec<i32>>(), "{key:?}");
    }
    let key = || vec!["at".to_owned()];
    let measures = vec![Measure::Count, Measure::Max { key: key() }, Measure::Max { key: vec!["shop".to_owned()] }];
    let answers = session.aggregate(&Aggregate::new(relation.clone(), measures), &cx)?;
    let max = KeyValue::new("datetime2(7)", "2024-01-05 04:00:00.0000000");
    let shop = KeyValue::new("varchar(20) COLLATE SQL_Latin1_General_CP1_CI_AS", "shop 2");
    assert_eq!(answers, [Some(KeyValue::new("bigint", "100")), Some(max.clone()), Some(shop)]);
    let range = KeyRange { key: key(), lower: Some(max.into()), ..KeyRange::default() };
    let filter = Filter { range: Some(range), condition: None };
    assert_eq!(ids(&mut *session, &relation, None, filter)?, [100]);
    let query =
        Relation::Query { sql: "WITH o AS (SELECT [id] FROM dbo.orders WHERE id < 4) SELECT id FROM o".to_owned() };
    assert_eq!(ids(&mut *session, &query, None, Filter::default())?, [1, 2, 3]);
    session.end(&cx)?;
    Ok(())
}

#[test]
fn an_end_that_does_not_count_the_rows_is_none() -> Result<()> {
    let server = Mssql::start(Encryption::Offered)?;
    let database = server.fresh_database("ends")?;
    server.create_table(&database, "fault", &[("id", "int NOT NULL")])?;
    server.psql(&database, "insert into dbo.fault select i from generate_series(1, 5000) i")?;
    let url = server.url(&database);
    for (fault, code) in [
        (Fault::Count(1), Some("mssql.incomplete")),
        (Fault::Count(-1), Some("mssql.incomplete")),
        (Fault::NoCount, Some("mssql.incomplete")),
        (Fault::HangUp(4_999), Some("mssql.closed")),
        (Fault::None, None),
    ] {
        server.misbehave(fault);
        let mut session = open(&url, Choices::default())?;
        let found = ids(&mut *session, &table("fault"), None, Filter::default());
        assert_eq!(found.as_ref().err().map(PluginError::code), code, "{fault:?}");
        ensure!(found.is_err() || found.is_ok_and(|ids| ids.len() == 5_000));
    }
    Ok(())
}

#[test]
fn a_stream_that_is_dropped_stops_the_server_and_leaves_the_session_fit() -> Result<()> {
    let server = Mssql::start(Encryption::Offered)?;
    let database = server.fresh_database("dropped")?;
    server.create_table(&database, "fault", &[("id", "int NOT NULL"), ("v", "nvarchar(max)")])?;
    server.psql(&database, "insert into dbo.fault select i, repeat('x', 20) from generate_series(1, 20000) i")?;
    let mut session = open(&server.url(&database), Choices::default())?;
    let (token, relation) = (CancelToken::new(), table("fault"));
    let cx = token.cx();
    let columns = session.describe(&relation, &cx)?.columns;
    server.misbehave(Fault::Silence(9_000));
    let scan = Scan { max_batch_rows: 1_000, ..Scan::new(relation.clone(), columns) };
    let mut stream = session.scan(&scan, &cx)?;
    ensure!(stream.next(&cx)?.is_some());
    drop(stream);
    assert_eq!(server.heard("ATTENTION").len(), 1);
    server.misbehave(Fault::None);
    assert_eq!(ids(&mut *session, &relation, None, Filter::default())?.len(), 20_000);
    Ok(())
}

#[test]
fn what_has_no_exact_place_is_refused_by_name() -> Result<()> {
    let server = mssql::shared();
    let database = server.fresh_database("refused")?;
    server.create_table(&database, "t", &[("at", "datetime2(7)")])?;
    server.psql(&database, "insert into dbo.t values ('2024-01-01 00:00:00'), ('2024-01-01 00:00:00.1234567')")?;
    let (token, relation) = (CancelToken::new(), table("t"));
    let cx = token.cx();
    let read = |sub_microsecond| {
        let policies = Policies { sub_microsecond, ..Policies::default() };
        let mut session = open(&server.url(&database), Choices { policies, ..Choices::default() })?;
        let columns = session.describe(&relation, &cx)?.columns;
        let mut stream = session.scan(&Scan::new(relation.clone(), columns), &cx)?;
        let batch = stream.next(&cx)?;
        Ok::<_, PluginError>((batch, stream.facts().policy_hits))
    };
    let e = read(None).expect_err("a seventh digit");
    assert_eq!((e.kind(), e.get("column"), e.get("row")), (ErrorKind::Data, Some("at"), Some("2")));
    let (batch, _) = read(Some(SubMicrosecond::Truncate))?;
    let batch = batch.context("a batch")?;
    assert_eq!(batch.column(0).as_primitive::<TimestampMicrosecondType>().value(1), 1_704_067_200_123_456);
    let (batch, _) = read(Some(SubMicrosecond::Text))?;
    assert_eq!(batch.context("a batch")?.column(0).as_string::<i32>().value(1), "2024-01-01 00:00:00.1234567");
    Ok(())
}

#[test]
fn a_text_that_is_to_be_json_is_json() -> Result<()> {
    let server = mssql::shared();
    let database = server.fresh_database("json")?;
    server.create_table(&database, "t", &[("id", "int"), ("j", "nvarchar(max)")])?;
    server.psql(&database, "insert into dbo.t values (1, '{\"a\": 1}'), (2, '{a: 1}')")?;
    let choice = ColumnChoice { logical: Some(LogicalType::Json), ..ColumnChoice::default() };
    let choices = Choices { columns: [("j".to_owned(), choice)].into(), ..Choices::default() };
    let mut session = open(&server.url(&database), choices)?;
    let (token, relation) = (CancelToken::new(), table("t"));
    let cx = token.cx();
    let columns = session.describe(&relation, &cx)?.columns;
    let scan = Scan::new(relation, columns);
    let read = session.scan(&scan, &cx).and_then(|mut stream| stream.next(&cx));
    let e = read.expect_err("the second is none");
    assert_eq!((e.kind(), e.get("column"), e.get("row")), (ErrorKind::Data, Some("j"), Some("2")));
    Ok(())
}

#[test]
fn what_cannot_be_written_again_is_no_key() -> Result<()> {
    let server = mssql::shared();
    let database = server.fresh_database("no_key")?;
    server.create_table(&database, "t", &[("id", "int"), ("v", "sql_variant"), ("b", "varbinary(max)")])?;
    let mut session = open(&server.url(&database), Choices::default())?;
    let token = CancelToken::new();
    for name in ["v", "b"] {
        let cut = KeyCut { key: vec![name.to_owned()], step: KeyStep::Rows(30) };
        let request = SplitRequest { along: Some(cut), ..SplitRequest::new(table("t"), 4) };
        let e = session.split(&request, &token.cx()).expect_err(name);
        assert_eq!((e.code(), e.kind(), e.get("column")), ("mssql.key", ErrorKind::Config, Some(name)));
    }
    Ok(())
}

#[test]
fn logins_are_refused_by_their_numbers() -> Result<()> {
    let server = mssql::shared();
    let database = orders(server, "login")?;
    let url = server.url(&database);
    for (url, code, kind) in [
        (url.replace(PASSWORD, "canary"), "mssql.18456", ErrorKind::Auth),
        (server.url("nowhere"), "mssql.4060", ErrorKind::NotFound),
        (url.replace(&server.port().to_string(), "1"), "mssql.refused", ErrorKind::Connection),
    ] {
        let e = open(&url, Choices::default()).err().context("refused")?;
        assert_eq!((e.code(), e.kind()), (code, kind));
        ensure!(e.hint_text().is_some() && !format!("{e:?}").contains("canary"), "{e:?}");
    }
    let mut session = open(&url, Choices::default())?;
    let token = CancelToken::new();
    let e = session.describe(&table("missing"), &token.cx()).expect_err("it does not exist");
    assert_eq!((e.code(), e.kind()), ("mssql.208", ErrorKind::NotFound));
    Ok(())
}

#[test]
fn tls_is_verified_as_its_mode_says() -> Result<()> {
    let server = mssql::shared();
    let database = orders(server, "tls")?;
    let (ca, other) = server.ca_files();
    for encrypt in ["login", "strict"] {
        for (mode, ca, works) in [
            ("require", None, true),
            ("verify-ca", Some(&ca), true),
            ("verify-full", Some(&ca), true),
            ("verify-full", Some(&other), false),
            ("verify-ca", Some(&other), false),
        ] {
            let options: MssqlOptions = serde_json::from_value(serde_json::json!({"encrypt": encrypt}))?;
            let mut request = OpenGroup::new(options);
            let tls = serde_json::from_value(serde_json::json!({"mode": mode, "ca_file": ca}))?;
            let url = Some(Secret::new(server.url(&database)));
            request.connection = Connection { url, tls: Some(tls), ..Connection::default() };
            let token = CancelToken::new();
            let opened = Plugin::open_group(request, &token.cx());
            ensure!(opened.is_ok() == works, "{encrypt} {mode}: {:?}", opened.err());
            let Ok(mut group) = opened else { continue };
            assert_eq!(ids(&mut *group.sessions[0], &table("orders"), None, Filter::default())?.len(), 100);
        }
    }
    Ok(())
}
