"""What an export does to others on the same server: runs a command, and meanwhile reads and writes single rows and watches.

usage: harm.py SECONDS [COMMAND...]; BENCH_URL says where. Without a command it watches for so many seconds, with one for as
long as that runs. Prints one line of JSON: latencies in ms, statements and transactions in s, temporary files in bytes, rows
that are dead and that vacuum had to keep for somebody's snapshot.
It must not know which tool the command is.
"""
import json
import os
import random
import re
import subprocess
import sys
import threading
import time

import psycopg

url, seconds, command = os.environ["BENCH_URL"], float(sys.argv[1]), sys.argv[2:]
N_ACCOUNTS = 100_000
PAUSE_S = 0.002
VACUUM_EVERY_S = 1.0
ended = threading.Event()

OTHERS = """
select count(*), coalesce(max(extract(epoch from clock_timestamp() - query_start)) filter (where state = 'active'), 0),
       coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0),
       (select count(*) from pg_locks l join pg_stat_activity a using (pid)
         where a.application_name <> 'bench-harm' and a.backend_type = 'client backend' and l.locktype <> 'virtualxid'),
       (select coalesce(string_agg(distinct l.mode, ' '), '') from pg_locks l join pg_stat_activity a using (pid)
         where a.application_name <> 'bench-harm' and a.backend_type = 'client backend' and l.locktype = 'relation')
  from pg_stat_activity where application_name <> 'bench-harm' and backend_type = 'client backend'
"""


def connect():
    return psycopg.connect(url, autocommit=True, application_name="bench-harm")


def prepare():
    with connect() as con:
        con.execute("create table if not exists bench_accounts (id int primary key, balance int not null)")
        if con.execute("select count(*) from bench_accounts").fetchone()[0] == 0:
            con.execute(f"insert into bench_accounts select i, 0 from generate_series(1, {N_ACCOUNTS}) i")
            con.execute("analyze bench_accounts")


def client(statement, latencies):
    picks = random.Random(7)
    with connect() as con:
        while not ended.is_set():
            start = time.perf_counter()
            con.execute(statement, [picks.randint(1, N_ACCOUNTS)])
            latencies.append((time.perf_counter() - start) * 1000)
            time.sleep(PAUSE_S)


def watch(seen):
    with connect() as con:
        while not ended.is_set():
            n, statement, transaction, locks, modes = con.execute(OTHERS).fetchone()
            seen["connections"] = max(seen["connections"], n)
            seen["longest_statement_s"] = max(seen["longest_statement_s"], float(statement))
            seen["longest_transaction_s"] = max(seen["longest_transaction_s"], float(transaction))
            seen["locks"] = max(seen["locks"], locks)
            seen["lock_modes"] |= set(modes.split())
            time.sleep(0.05)


def clean(seen):
    """Asks vacuum what it cannot remove yet. A row that died a moment ago may be among it, so it is not 0 at rest."""
    def kept(notice):
        said = f"{notice.message_primary} {notice.message_detail}"
        found = re.search(r"(\d+) (?:are dead but not yet removable|dead row versions cannot be removed yet)", said)
        seen["dead_rows_kept"] = max(seen["dead_rows_kept"], int(found.group(1)) if found else 0)

    with connect() as con:
        con.add_notice_handler(kept)
        while not ended.wait(VACUUM_EVERY_S):
            con.execute("vacuum (verbose, truncate false) bench_accounts")


def temp_bytes():
    with connect() as con:
        return con.execute("select sum(temp_bytes)::bigint from pg_stat_database").fetchone()[0]


def quantile(latencies, q):
    ordered = sorted(latencies)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * q))], 2)


prepare()
reads, writes, temp = [], [], temp_bytes()
seen = {"connections": 0, "longest_statement_s": 0.0, "longest_transaction_s": 0.0, "locks": 0, "lock_modes": set(),
        "dead_rows_kept": 0}
threads = [
    threading.Thread(target=client, args=["select balance from bench_accounts where id = %s", reads]),
    threading.Thread(target=client, args=["update bench_accounts set balance = balance + 1 where id = %s", writes]),
    threading.Thread(target=watch, args=[seen]),
    threading.Thread(target=clean, args=[seen]),
]
for thread in threads:
    thread.start()
start = time.monotonic()
code = 0
if command:
    code = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
else:
    time.sleep(seconds)
took = time.monotonic() - start
ended.set()
for thread in threads:
    thread.join()
# Statistics of backends that ended arrive a little later.
time.sleep(1.0)
seen |= {
    "code": code,
    "took_s": round(took, 2),
    "longest_statement_s": round(seen["longest_statement_s"], 2),
    "longest_transaction_s": round(seen["longest_transaction_s"], 2),
    "lock_modes": sorted(seen["lock_modes"]),
    "temp_bytes": temp_bytes() - temp,
    "reads": len(reads),
    "read_p50_ms": quantile(reads, 0.5),
    "read_p99_ms": quantile(reads, 0.99),
    "writes": len(writes),
    "write_p50_ms": quantile(writes, 0.5),
    "write_p99_ms": quantile(writes, 0.99),
}
print(json.dumps(seen))
