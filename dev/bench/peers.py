"""Other extractors, each used as its documentation shows: one table of PostgreSQL to one Parquet file in zstd.

usage: peers.py TOOL TABLE OUT LEVEL THREADS; BENCH_URL says where. It must not know how it is measured.
"""
import glob
import os
import sys

tool, table, out, level, threads = sys.argv[1:]
level, threads, url = int(level), int(threads), os.environ["BENCH_URL"]
file = os.path.join(out, f"{table}.parquet")
query = f"select * from {table}"


def duckdb():
    import duckdb
    import duckdb_extension_postgres_scanner as scanner

    [extension] = glob.glob(os.path.join(os.path.dirname(scanner.__file__), "**", "*.duckdb_extension"), recursive=True)
    con = duckdb.connect(config={"threads": threads, "autoinstall_known_extensions": "false"})
    con.execute(f"load '{extension}'")
    con.execute(f"attach '{url}' as pg (type postgres, read_only)")
    con.execute(f"copy (select * from pg.public.{table}) to '{file}' (format parquet, compression zstd, compression_level {level})")


def connectorx():
    import connectorx
    import pyarrow.parquet

    rows = connectorx.read_sql(url, query, return_type="arrow")
    pyarrow.parquet.write_table(rows, file, compression="zstd", compression_level=level)


def adbc():
    import adbc_driver_postgresql.dbapi
    import pyarrow.parquet

    with adbc_driver_postgresql.dbapi.connect(url) as con, con.cursor() as cursor:
        cursor.execute(query)
        batches = cursor.fetch_record_batch()
        with pyarrow.parquet.ParquetWriter(file, batches.schema, compression="zstd", compression_level=level) as writer:
            for batch in batches:
                writer.write_batch(batch)


{"duckdb": duckdb, "connectorx": connectorx, "adbc": adbc}[tool]()
