//! What is read, and the one transaction that replaces it. Before it there are rows 1 to 1000 of generation 1, after
//! it rows 1 to 700 of generation 2. `S` is a schema, `{1}` and `{2}` are the rows.
//! Must not know when it is committed.

/// A relation and its replacement.
pub struct Kind {
    pub name: &'static str,
    pub setup: &'static str,
    /// Runs in one transaction.
    pub change: &'static str,
    /// The export's relation.
    pub read: &'static str,
    /// Cut into splits, so that two workers read it.
    pub cut: bool,
    /// Whoever reads the table has to wait until the change is committed.
    pub waits: bool,
    /// The columns differ: a run that has planned the old ones may say so and fail.
    pub may_fail: bool,
    /// The role that reads.
    pub role: &'static str,
}

const KIND: Kind = Kind {
    name: "",
    setup: "create table S.t as {1};",
    change: "truncate S.t; insert into S.t {2};",
    read: "table: S.t",
    cut: false,
    waits: true,
    may_fail: false,
    role: "postgres",
};

/// Table `t` holds the old rows, `u` the new ones.
const TWO_TABLES: &str = "create table S.t as {1}; create table S.u as {2};";
const RECREATE: &str = "drop table S.t; create table S.t as {2};";
const RENAME: &str = "alter table S.t rename to v; alter table S.u rename to t;";
const QUERY: &str = "query: select * from S.t";
const MATERIALIZED: &str =
    "create table S.b as {1}; create materialized view S.t as select id, g from S.b; analyze S.t;";
const REFRESH: &str = "truncate S.b; insert into S.b {2}; refresh materialized view S.t;";
const PARTITIONS: &str = "create table S.p1 as {1}; create table S.p2 as {2}; \
    create table S.t (id int, g int) partition by list (g); alter table S.t attach partition S.p1 for values in (1);";
/// Nobody waits for this one: it takes no lock on the parent that a reader would notice.
const ATTACH: &str = "alter table S.t attach partition S.p2 for values in (2); delete from S.p1;";
const EXCHANGE: &str =
    "alter table S.t detach partition S.p1; alter table S.t attach partition S.p2 for values in (2);";
const CHILDREN: &str = "create table S.t (id int, g int); create table S.c1 () inherits (S.t); \
    insert into S.c1 {1}; create table S.c2 as {2};";
const INHERIT: &str = "alter table S.c1 no inherit S.t; alter table S.c2 inherit S.t;";
const SCHEMAS: &str = "create schema S_next; create table S.t as {1}; create table S_next.t as {2};";
const SWAP: &str = "alter schema S rename to S_gone; alter schema S_next rename to S;";
const ADD: &str = "alter table S.t add column h int default 0; update S.t set g = 2, h = 3; \
    delete from S.t where id > 700;";

pub const KINDS: [Kind; 24] = [
    Kind { name: "truncate", cut: true, ..KIND },
    Kind { name: "recreate", change: RECREATE, cut: true, ..KIND },
    Kind {
        name: "rewrite",
        change: "alter table S.t alter column g type int using 2; delete from S.t where id > 700;",
        cut: true,
        ..KIND
    },
    Kind {
        name: "retype",
        change: "alter table S.t alter column g type bigint using 2; delete from S.t where id > 700;",
        cut: true,
        may_fail: true,
        ..KIND
    },
    Kind { name: "rename", setup: TWO_TABLES, change: RENAME, cut: true, ..KIND },
    Kind { name: "schemas", setup: SCHEMAS, change: SWAP, cut: true, waits: false, ..KIND },
    Kind { name: "refresh", setup: MATERIALIZED, change: REFRESH, cut: true, ..KIND },
    Kind { name: "attach", setup: PARTITIONS, change: ATTACH, waits: false, ..KIND },
    Kind { name: "exchange", setup: PARTITIONS, change: EXCHANGE, ..KIND },
    Kind { name: "inherit", setup: CHILDREN, change: INHERIT, ..KIND },
    Kind {
        name: "view",
        setup: "create table S.b as {1}; create view S.t as select * from S.b;",
        change: "truncate S.b; insert into S.b {2};",
        ..KIND
    },
    Kind {
        name: "view-replace",
        setup: "create table S.a as {1}; create table S.b as {2}; create view S.t as select * from S.a;",
        change: "create or replace view S.t as select * from S.b;",
        ..KIND
    },
    Kind {
        name: "columns",
        setup: "create table S.t as {1}; grant usage on schema S to reader; grant select (id, g) on S.t to reader;",
        role: "reader",
        ..KIND
    },
    Kind { name: "q-truncate", read: QUERY, ..KIND },
    Kind { name: "q-recreate", change: RECREATE, read: QUERY, ..KIND },
    Kind { name: "q-add", change: ADD, read: QUERY, may_fail: true, ..KIND },
    Kind { name: "q-rename", setup: TWO_TABLES, change: RENAME, read: QUERY, ..KIND },
    Kind { name: "q-schemas", setup: SCHEMAS, change: SWAP, read: QUERY, waits: false, ..KIND },
    Kind { name: "q-refresh", setup: MATERIALIZED, change: REFRESH, read: QUERY, ..KIND },
    Kind { name: "q-attach", setup: PARTITIONS, change: ATTACH, read: QUERY, waits: false, ..KIND },
    Kind { name: "q-exchange", setup: PARTITIONS, change: EXCHANGE, read: QUERY, ..KIND },
    Kind { name: "q-inherit", setup: CHILDREN, change: INHERIT, read: QUERY, ..KIND },
    Kind {
        name: "q-view",
        setup: "create table S.b as {1}; create view S.t as select * from S.b;",
        change: "truncate S.b; insert into S.b {2};",
        read: QUERY,
        ..KIND
    },
    Kind {
        name: "q-function",
        setup: "create table S.b as {1}; create function S.f() returns table (id int, g int) language plpgsql stable \
                as 'begin return query select b.id, b.g from S.b; end';",
        change: "truncate S.b; insert into S.b {2};",
        read: "query: select * from S.f()",
        ..KIND
    },
];

/// A text of a kind for one schema.
pub fn fill(text: &str, schema: &str) -> String {
    let rows = |g: u32, n: u32| format!("select i::int id, {g} g from generate_series(1, {n}) i");
    text.replace("{1}", &rows(1, 1000))
        .replace("{2}", &rows(2, 700))
        .replace("S.", &format!("{schema}."))
        .replace("S_", &format!("{schema}_"))
        .replace("schema S ", &format!("schema {schema} "))
        .replace("to S;", &format!("to {schema};"))
}
