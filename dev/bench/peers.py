"""Other extractors, each used as its documentation shows: one table to one Parquet file in zstd.

usage: peers.py ENGINE TOOL TABLE OUT LEVEL THREADS; BENCH_URL says where. It must not know how it is measured.
"""
import glob
import importlib
import os
import sys
from urllib.parse import urlparse

engine, tool, table, out, level, threads = sys.argv[1:]
level, threads, url = int(level), int(threads), os.environ["BENCH_URL"]
file = os.path.join(out, f"{table}.parquet")
query = f"select * from {table}"


def duckdb():
    import duckdb

    kind = {"postgres": "postgres", "mariadb": "mysql", "sqlite": "sqlite"}[engine]
    scanner = importlib.import_module(f"duckdb_extension_{kind}_scanner")
    [extension] = glob.glob(os.path.join(os.path.dirname(scanner.__file__), "**", "*.duckdb_extension"), recursive=True)
    con = duckdb.connect(config={"threads": threads, "autoinstall_known_extensions": "false"})
    con.execute(f"load '{extension}'")
    place, schema = url, "public." if engine == "postgres" else ""
    if engine == "mariadb":
        u = urlparse(url)
        place = f"host={u.hostname} port={u.port} user={u.username} password={u.password} database={u.path[1:]}"
    elif engine == "sqlite":
        place = url.removeprefix("sqlite:")
    con.execute(f"attach '{place}' as it (type {kind}, read_only)")
    con.execute(f"copy (select * from it.{schema}{table}) to '{file}' (format parquet, compression zstd, compression_level {level})")


def connectorx():
    import connectorx
    import pyarrow.parquet

    rows = connectorx.read_sql(url, query, return_type="arrow")
    pyarrow.parquet.write_table(rows, file, compression="zstd", compression_level=level)


def adbc():
    import pyarrow.parquet

    kind = "sqlite" if engine == "sqlite" else "postgresql"
    driver = importlib.import_module(f"adbc_driver_{kind}.dbapi")
    with driver.connect(url.removeprefix("sqlite:")) as con, con.cursor() as cursor:
        cursor.execute(query)
        batches = cursor.fetch_record_batch()
        with pyarrow.parquet.ParquetWriter(file, batches.schema, compression="zstd", compression_level=level) as writer:
            for batch in batches:
                writer.write_batch(batch)


{"duckdb": duckdb, "connectorx": connectorx, "adbc": adbc}[tool]()
