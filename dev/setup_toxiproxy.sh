#!/usr/bin/env bash
# Proxy `pg` of a Toxiproxy, with nothing wrong on it: from port 15432 to the PostgreSQL that the configs name.
set -eu
api=http://localhost:8474
curl -s -X DELETE "$api/proxies/pg" >/dev/null
curl -sSf -X POST "$api/proxies" -d '{"name": "pg", "listen": "localhost:15432", "upstream": "localhost:5432"}'
echo
