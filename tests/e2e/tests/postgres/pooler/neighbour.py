"""Another client of the pooler, by libpq: it names its prepared statements as ours are named.

left URL N           what is prepared on each of N server connections: a JSON line for each, {name: statement}
leak URL NAME...     prepares these in a pooled server connection, and leaves them there
crowd URL VERSION    prepares, runs and leaves or closes statements until standard input ends; prints what it read
"""

import collections, ctypes, json, select, sys

pq = ctypes.CDLL("libpq.so.5")
pq.PQconnectdb.restype = ctypes.c_void_p
for name in ["PQexec", "PQprepare", "PQexecPrepared"]:
    getattr(pq, name).restype = ctypes.c_void_p
pq.PQgetvalue.restype = pq.PQresultErrorField.restype = pq.PQerrorMessage.restype = ctypes.c_char_p
DONE, ROWS = 1, 2
THEIRS = "select 'theirs'"


class Connection:
    def __init__(self, url):
        self.raw = ctypes.c_void_p(pq.PQconnectdb(url.encode()))
        if pq.PQstatus(self.raw) != 0:
            raise SystemExit(pq.PQerrorMessage(self.raw).decode())

    def close(self):
        pq.PQfinish(self.raw)

    def run(self, sql):
        return self.result(pq.PQexec(self.raw, sql.encode()))

    def prepare(self, name):
        return self.result(pq.PQprepare(self.raw, name.encode(), THEIRS.encode(), 0, None))

    def execute(self, name):
        return self.result(pq.PQexecPrepared(self.raw, name.encode(), 0, None, None, None, 0))

    def result(self, raw):
        """The rows, or what went wrong."""
        raw = ctypes.c_void_p(raw)
        status = pq.PQresultStatus(raw)
        if status == ROWS:
            columns = range(pq.PQnfields(raw))
            said = [[pq.PQgetvalue(raw, row, c).decode() for c in columns] for row in range(pq.PQntuples(raw))]
        elif status == DONE:
            said = []
        else:
            said = (pq.PQresultErrorField(raw, ord("C")) or f"status {status}".encode()).decode()
        pq.PQclear(raw)
        return said


def left(url, n):
    connections = [Connection(url) for _ in range(int(n))]
    for connection in connections:
        # Until its end the server connection is nobody else's.
        assert connection.run("begin") == []
    for connection in connections:
        rows = connection.run("select name, statement from pg_prepared_statements")
        print(json.dumps(dict(rows)))
    for connection in connections:
        # The pooler keeps a server connection only if nothing is open in it.
        assert connection.run("commit") == []
        connection.close()


def leak(url, *names):
    connection = Connection(url)
    for name in names:
        assert connection.prepare(name) == []
    connection.close()


def crowd(url, version):
    said = collections.Counter()
    names = ["s0", "s1", "s2"]
    turn = 0
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        turn += 1
        connection = Connection(url)
        connection.run("begin")
        for name in names:
            # Fails where an earlier one left it; so does what follows in this transaction.
            if connection.prepare(name) == []:
                said[json.dumps(connection.execute(name))] += 1
        if turn % 2 and version == "1.18":
            connection.run("deallocate all")
        connection.run("commit")
        # Whatever has the name on the server connection that comes next.
        for name in names:
            said[json.dumps(connection.execute(name))] += 1
        connection.close()
    print(json.dumps(said))


{"left": left, "leak": leak, "crowd": crowd}[sys.argv[1]](*sys.argv[2:])
