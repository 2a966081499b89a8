#!/usr/bin/env bash
# Two runs, between which a column is added: the second says so. Needs `rivet` and `psql` on the PATH.
set -eu
url=$(sed -n 's/^ *url: *"\(.*\)"$/\1/p' dev/test_schema_evolution.yaml)
sql() { psql --quiet --no-psqlrc "$url" --command "$1"; }
sql "drop table if exists schema_evolution_test; create table schema_evolution_test (id bigint primary key, name text);
     insert into schema_evolution_test values (1, 'a')"
rivet run --config dev/test_schema_evolution.yaml
sql "alter table schema_evolution_test add column note text"
rivet run --config dev/test_schema_evolution.yaml
