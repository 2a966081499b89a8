"""What DuckDB, pyarrow and Polars read from files, as text of one form: see the documentation of the Rust module.

Reads a list of jobs as JSON from standard input, prints a line of JSON for each. Shares no code with who wrote the files.
"""
import datetime, decimal, json, re, struct, sys, uuid

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

# What a value is beyond what its Python class says. Everything else is "plain".
PLAIN, FLOAT32, FLOAT64, DAYS, MICROS = "plain", "float32", "float64", "days", "micros"


def is_list(kind):
    return isinstance(kind, tuple)


def trimmed(text, us):
    return text + (f".{us:06d}".rstrip("0") if us else "")


def interval(months, days, ns):
    """As PostgreSQL prints it under IntervalStyle = iso_8601."""
    assert ns % 1000 == 0, ns
    us, sign = abs(ns) // 1000, "-" if ns < 0 else ""
    seconds, us = us // 1_000_000, us % 1_000_000
    month_sign = "-" if months < 0 else ""
    parts = [(month_sign, abs(months) // 12, "Y"), (month_sign, abs(months) % 12, "M"), ("", days, "D")]
    date = "".join(f"{sign}{n}{unit}" for sign, n, unit in parts if n)
    time = "".join(f"{sign}{n}{unit}" for n, unit in [(seconds // 3600, "H"), (seconds // 60 % 60, "M")] if n)
    if seconds % 60 or us or not date + time:
        time += trimmed(f"{sign}{seconds % 60}", us) + "S"
    return "P" + date + ("T" + time if time else "")


def canonical(v, kind):
    """The text of a value, or a list of texts."""
    if v is None:
        return None
    if is_list(kind):
        return [canonical(x, kind[0]) for x in v]
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, float):
        return struct.pack(">f" if kind == FLOAT32 else ">d", v).hex()
    if isinstance(v, decimal.Decimal):
        return format(v, "f")
    if isinstance(v, (bytes, bytearray)):
        return v.hex()
    if isinstance(v, datetime.datetime):
        zone = "+00" if v.tzinfo else ""
        return trimmed(v.strftime("%Y-%m-%d %H:%M:%S").zfill(19), v.microsecond) + zone
    if isinstance(v, datetime.date):
        return v.isoformat()
    if isinstance(v, datetime.time):
        return trimmed(v.strftime("%H:%M:%S"), v.microsecond)
    if isinstance(v, pa.MonthDayNano):
        return interval(*v)
    if isinstance(v, dict) and list(v) == ["months", "days", "nanoseconds"]:
        return interval(v["months"], v["days"], v["nanoseconds"] // datetime.timedelta(microseconds=1) * 1000)
    assert isinstance(v, (str, int, uuid.UUID)), type(v)
    return str(v)


def arrow_kind(t):
    if pa.types.is_list(t) or pa.types.is_large_list(t):
        return (arrow_kind(t.value_type),)
    if pa.types.is_float32(t):
        return FLOAT32
    if pa.types.is_float64(t):
        return FLOAT64
    if pa.types.is_date32(t):
        return DAYS
    if pa.types.is_timestamp(t):
        assert t.unit == "us", t
        return MICROS
    return PLAIN


def pyarrow_columns(table):
    for field, column in zip(table.schema, table.columns):
        kind = arrow_kind(field.type)
        # Python's own dates end at the years 1 and 9999.
        if kind in (DAYS, MICROS):
            column = column.cast(pa.int32() if kind == DAYS else pa.int64())
        yield field.name, [canonical(v, kind) for v in column.to_pylist()]


def pyarrow_parquet(job):
    read = lambda path: pa.parquet.read_table(path, columns=job.get("columns"), use_threads=False, pre_buffer=False)
    return pyarrow_columns(pa.concat_tables([read(path) for path in job["paths"]]))


def arrow_table(path):
    with pa.OSFile(path) as file:
        opened = pa.ipc.open_file if path.endswith(".arrow") else pa.ipc.open_stream
        table = opened(file, options=pa.ipc.IpcReadOptions(use_threads=False)).read_all()
    table.validate(full=True)
    return table


def pyarrow_arrow(job):
    return pyarrow_columns(pa.concat_tables([arrow_table(path) for path in job["paths"]]))


def polars_kind(t):
    if isinstance(t, pl.List):
        return (polars_kind(t.inner),)
    if isinstance(t, pl.Datetime):
        assert t.time_unit == "us", t
        return MICROS
    return {pl.Float32: FLOAT32, pl.Float64: FLOAT64, pl.Date: DAYS}.get(t.base_type(), PLAIN)


def polars_columns(frame):
    for column in frame.get_columns():
        kind = polars_kind(column.dtype)
        if kind in (DAYS, MICROS):
            column = column.to_physical()
        yield column.name, [canonical(v, kind) for v in column.to_list()]


def polars_parquet(job):
    frames = [pl.read_parquet(path, columns=job.get("columns"), glob=False) for path in job["paths"]]
    return polars_columns(pl.concat(frames))


def polars_arrow(job):
    def read(path):
        read = pl.read_ipc if path.endswith(".arrow") else pl.read_ipc_stream
        return read(path, columns=job.get("columns"))

    return polars_columns(pl.concat([read(path) for path in job["paths"]]))


def duckdb_kind(t):
    if t.endswith("[]"):
        return (duckdb_kind(t[:-2]),)
    return {"FLOAT": FLOAT32, "DOUBLE": FLOAT64, "DATE": DAYS}.get(t, MICROS if t.startswith("TIMESTAMP") else PLAIN)


def duckdb_parquet(job):
    con = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET threads = 1")
    con.execute("CREATE VIEW files AS SELECT * FROM read_parquet(?)".replace("?", repr(job["paths"])))
    kinds = {name: duckdb_kind(t) for name, t, *_ in con.execute("DESCRIBE files").fetchall()}
    if job.get("columns"):
        kinds = {name: kinds[name] for name in job["columns"]}

    def column(name, kind):
        name = '"' + name.replace('"', '""') + '"'
        # Python's own dates end at the years 1 and 9999.
        form = {DAYS: "{0} - DATE '1970-01-01'", MICROS: "epoch_us({0})"}.get(kind, "{0}")
        return form.format(name)

    rows = con.execute("SELECT " + ", ".join(column(*c) for c in kinds.items()) + " FROM files").fetchall()
    for i, (name, kind) in enumerate(kinds.items()):
        yield name, [canonical(row[i], kind) for row in rows]


def days(text):
    """Days since 1970 of an ISO 8601 date whose year may be signed or long; the civil calendar's arithmetic."""
    year, month, day = map(int, re.fullmatch(r"([+-]?\d{4,})-(\d\d)-(\d\d)", text).groups())
    assert 1 <= month <= 12 and 1 <= day <= 31, text
    year -= month <= 2
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    era, of_era = year // 400, year % 400
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def micros(text, is_utc):
    date, time = text.split("T")
    assert time.endswith("Z") == is_utc, text
    h, m, s, us = map(int, re.fullmatch(r"(\d\d):(\d\d):(\d\d)\.(\d{6})Z?", time).groups())
    return ((days(date) * 24 + h) * 60 + m) * 60_000_000 + s * 1_000_000 + us


def csv_text(text, t):
    """A text of a CSV file as the text of the value that it stands for."""
    kind = arrow_kind(t)
    if text is None:
        return None
    if is_list(kind):
        return csv_list(json.loads(text, parse_float=str, parse_int=str, parse_constant=None), t)
    if kind in (FLOAT32, FLOAT64):
        return canonical(float(text), kind)
    if kind == DAYS:
        return str(days(text))
    if kind == MICROS:
        return str(micros(text, t.tz is not None))
    if pa.types.is_time(t):
        return trimmed(text[:8], int(re.fullmatch(r"\d\d:\d\d:\d\d\.(\d{6})", text)[1]))
    return text


def csv_list(values, t):
    t, found = t.value_type, []
    for v in values:
        if isinstance(v, list):
            found.append(csv_list(v, t))
        elif isinstance(v, bool) or v is None:
            found.append(canonical(v, PLAIN))
        elif pa.types.is_timestamp(t):
            at = re.fullmatch(r"(.*)T(.*)\.(\d{6})(Z?)", v)
            found.append(trimmed(f"{at[1]} {at[2]}", int(at[3])) + ("+00" if at[4] else ""))
        else:
            found.append(v if pa.types.is_date(t) else csv_text(v, t))
    return found


def csv_columns(job, columns):
    # A CSV file holds no types; the Arrow file of the same rows says what each text stands for.
    types = {field.name: field.type for field in arrow_table(job["typed_by"][0]).schema}
    assert list(types) == [name for name, _ in columns], (list(types), [name for name, _ in columns])
    for name, texts in columns:
        yield name, [csv_text(text, types[name]) for text in texts]


def duckdb_csv(job):
    con = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    con.execute("SET threads = 1")
    rows = con.execute(
        f"SELECT * FROM read_csv({job['paths']!r}, all_varchar=true, header=true, delim=',', quote='\"', escape='\"', "
        "nullstr='', allow_quoted_nulls=false, strict_mode=true, auto_detect=true, sample_size=-1, new_line='\\n')"
    )
    names = [d[0] for d in rows.description]
    rows = rows.fetchall()
    return csv_columns(job, [(name, [row[i] for row in rows]) for i, name in enumerate(names)])


def pyarrow_csv(job):
    tables = []
    for path in job["paths"]:
        names = next(iter(pa.csv.open_csv(path, read_options=pa.csv.ReadOptions(use_threads=False)))).schema.names
        convert = pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in names},
            null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
        )
        parse = pa.csv.ParseOptions(newlines_in_values=True)
        tables.append(pa.csv.read_csv(path, pa.csv.ReadOptions(use_threads=False), parse, convert))
    table = pa.concat_tables(tables)
    return csv_columns(job, [(name, column.to_pylist()) for name, column in zip(table.schema.names, table.columns)])


def polars_csv(job):
    frames = [pl.read_csv(path, infer_schema=False, glob=False) for path in job["paths"]]
    return csv_columns(job, [(column.name, column.to_list()) for column in pl.concat(frames).get_columns()])


READERS = {
    ("duckdb", "parquet"): duckdb_parquet,
    ("duckdb", "csv"): duckdb_csv,
    ("pyarrow", "parquet"): pyarrow_parquet,
    ("pyarrow", "csv"): pyarrow_csv,
    ("pyarrow", "arrow"): pyarrow_arrow,
    ("polars", "parquet"): polars_parquet,
    ("polars", "csv"): polars_csv,
    ("polars", "arrow"): polars_arrow,
}

for job in json.load(sys.stdin):
    try:
        answer = {"columns": dict(READERS[job["reader"], job["format"]](job))}
    # A panic of Polars is no `Exception`.
    except BaseException as e:
        answer = {"error": f"{type(e).__name__}: {e}"}
    print(json.dumps(answer, ensure_ascii=False))
