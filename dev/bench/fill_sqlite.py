"""Fills `lineitem` of an SQLite file with the rows of a CSV file, as numbers and texts by the columns' affinity.

usage: fill_sqlite.py DATABASE COLUMNS CSV. It must not know who reads them.
"""
import csv
import sqlite3
import sys

database, columns, file = sys.argv[1:]
con = sqlite3.connect(database)
con.execute("pragma journal_mode = off")
con.execute("pragma synchronous = off")
con.execute(f"create table if not exists lineitem ({columns})")
with open(file, newline="") as lines:
    rows = csv.reader(lines)
    places = ", ".join("?" * len(next(rows)))
    con.executemany(f"insert into lineitem values ({places})", rows)
con.commit()
