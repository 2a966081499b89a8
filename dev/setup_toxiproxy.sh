#!/usr/bin/env bash
# Proxies `pg` and `mysql` of a Toxiproxy, with nothing wrong on them: from ports 15432 and 13306 to the servers that the configs
# name.
set -eu
api=http://localhost:8474
curl -s -X DELETE "$api/proxies/pg" >/dev/null
curl -s -X DELETE "$api/proxies/mysql" >/dev/null
curl -sSf -X POST "$api/proxies" -d '{"name": "pg", "listen": "localhost:15432", "upstream": "localhost:5432"}'
curl -sSf -X POST "$api/proxies" -d '{"name": "mysql", "listen": "localhost:13306", "upstream": "localhost:3306"}'
echo
