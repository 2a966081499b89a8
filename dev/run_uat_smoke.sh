#!/usr/bin/env bash
# The checks of the acceptance plan, from the folder that holds dev/: `run_uat_smoke.sh [SUITE…]`. A line each: PASS, FAIL,
# LATER (the feature is not there yet) or SKIP (what it needs is not here), the ID, what is expected, what was seen.
# `cargo xtask uat` starts all that they need: `rivet`, `psql` and `curl` on the PATH, a PostgreSQL with the tables of
# `cargo xtask seed`, a MariaDB with users and orders, a store of S3's language whose keys are in MINIO_ACCESS_KEY and
# MINIO_SECRET_KEY, an emulator of Google's, and a Toxiproxy, where the configs say.
set -u
mkdir -p dev/output
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
suites=" $* "
passed=0 failed=0 later=0 skipped=0

# Whether the suite of an ID was asked for.
asked() { [ "$suites" = "  " ] || [[ $suites == *" ${1:0:1} "* ]]; }
# check ID "what" STATUS COMMAND…: the command ends with that status (a number, several as `0|2`, or `not0`); its output stays
# in $out/ID.
check() {
    local id=$1 what=$2 wanted=$3 status verdict=FAIL
    shift 3
    asked "$id" || return 0
    "$@" >"$out/$id" 2>&1
    status=$?
    case "|$wanted|" in *"|$status|"*) verdict=PASS ;; "|not0|") [ "$status" = 0 ] || verdict=PASS ;; esac
    verdict "$id" "$what: exit $wanted" "$verdict" "exit $status"
}
# says ID "what" PATTERN: the output of an earlier check holds it.
says() {
    asked "$1" || return 0
    local seen
    seen=$(grep -Em1 -- "$3" "$out/$1" | sed 's/^ *//' | cut -c -80)
    if [ -n "$seen" ]; then verdict "$1" "$2" PASS "$seen"; else verdict "$1" "$2" FAIL "no line like $3"; fi
}
later() { asked "$1" && verdict "$1" "$2" LATER "not there yet"; }
skip() { asked "$1" && verdict "$1" "$2" SKIP "$3"; }
verdict() {
    printf '%-5s %-4s %-44s %s\n' "$3" "$1" "$2" "$4"
    case $3 in PASS) passed=$((passed + 1)) ;; LATER) later=$((later + 1)) ;; SKIP) skipped=$((skipped + 1)) ;; *) failed=$((failed + 1)) && sed 's/^/    /' "$out/$1" | head -20 ;; esac
}
# toxic PROXY METHOD PATH …: asks the fault proxy.
toxic() { curl -sf -X "$2" "http://localhost:8474/proxies/$1/toxics$3" "${@:4}"; }

check P4 "dev/output exists" 0 test -d dev/output
check A1 "help" 0 rivet --help
for command in run check doctor state metrics completions; do says A1 "help lists $command" "^ +$command "; done
check A2 "completions" 0 bash -o pipefail -c 'rivet completions zsh | head -1 | grep "#compdef rivet"'
check A3 "a config that does not exist" not0 rivet check --config /nonexistent/no.yaml
says A3 "it is named" '/nonexistent/no.yaml'
check B1 "check of all exports" 0 rivet check --config dev/pg_full.yaml
says B1 "each has a verdict" 'EFFICIENT|ACCEPTABLE'
check B2 "check of one export" 0 rivet check --config dev/pg_full.yaml --export pg_users_csv
check B3 "check of a MySQL" 0 rivet check --config dev/mysql_full.yaml
says B3 "each has a verdict" 'EFFICIENT|ACCEPTABLE'
check B4 "doctor" 0 rivet doctor --config dev/pg_full.yaml
says B4 "source and destination are fine" '^\[OK\]'
check C1 "full, CSV" 0 rivet run --config dev/pg_full.yaml --export pg_users_csv --validate
says C1 "it was validated" 'validated: +pass'
check C1b "full, all exports" 0 rivet run --config dev/pg_full.yaml
check C2 "full, Parquet" 0 rivet run --config dev/pg_full.yaml --export pg_users_parquet --validate
says C2 "it was validated" 'validated: +pass'
check C3 "incremental, first run" 0 rivet run --config dev/pg_incremental.yaml --export pg_orders_incremental
check C4 "incremental, second run" 0 rivet run --config dev/pg_incremental.yaml --export pg_orders_incremental
says C4 "it has nothing to do" 'rows: +0$|status: +skipped'
check C5 "full, MySQL" 0 rivet run --config dev/mysql_full.yaml --validate
says C5 "it was validated" 'validated: +pass'
check C6 "incremental, MySQL" 0 rivet run --config dev/mysql_incremental.yaml
says C6 "all rows" 'rows: +[1-9]'
check C6b "incremental, MySQL, second run" 0 rivet run --config dev/mysql_incremental.yaml --export mysql_orders_incremental
says C6b "it has nothing to do" 'rows: +0$|status: +skipped'
check C6c "the cursor of MySQL" 0 rivet state show --config dev/mysql_incremental.yaml
says C6c "the cursor is shown" 'mysql_orders_incremental'
check D1 "state show" 0 rivet state show --config dev/pg_incremental.yaml
says D1 "the cursor is shown" 'pg_orders_incremental'
check D2 "metrics" 0 rivet metrics --config dev/pg_incremental.yaml --last 5
says D2 "the runs are shown" 'success'
check D3 "state reset" 0 rivet state reset --config dev/pg_incremental.yaml --export pg_orders_incremental
check D3b "the next run reads all" 0 rivet run --config dev/pg_incremental.yaml --export pg_orders_incremental
says D3b "all rows, as the first time" 'rows: +[1-9]'
check E1 "chunked, sequential" 0 rivet run --config dev/bench_chunked_seq.yaml
says E1 "the strategy is told" 'strategy: +chunked\(id, size=1000\)'
check E3 "all exports of the long benchmark" 0 rivet run --config dev/bench_chunked_p4.yaml
says E3 "all succeed" '3 succeeded'
check F1 "meta columns, zstd" 0 rivet run --config dev/test_meta_columns.yaml --validate
check F2 "codecs" 0 rivet run --config dev/test_compression.yaml
says F2 "the codec is in the summary" 'compression: +snappy'
check F3 "skip_empty" 0 rivet run --config dev/test_compression.yaml --export users_skip_empty
says F3 "it was skipped" 'status: +skipped'
check F4 "meta columns are in the file" 0 bash -c 'grep -c _rivet_row_hash dev/output/users_meta_test_*.parquet && grep -c _rivet_exported_at dev/output/users_meta_test_*.parquet'
check G1 "structured address" 0 env PGPASSWORD=rivet rivet check --config dev/pg_structured.yaml
check G2 "structured address, MySQL" 0 env MYSQL_PASSWORD=rivet rivet check --config dev/mysql_structured.yaml
check H1 "a cursor without an index" 0 rivet check --config dev/pg_degraded.yaml
says H1 "a verdict, and what would help" 'suggestion +index'
check H2 "a wrong password" not0 rivet doctor --config dev/test_pg_wrongpass.yaml
says H2 "it is a failed login" '\[FAIL\].*auth'
check I1 "S3" 0 bash dev/run_s3_export.sh
says I1 "it was validated" 'validated: +pass'
says I1 "the objects are in the bucket" '<Key>exports/orders/orders_chunked_s3_[^<]*\.parquet</Key>'
check I1b "doctor: S3" 0 rivet doctor --config dev/rivet_s3_minio_test.yaml
check I1c "what is in S3 is what was written" 0 rivet validate --config dev/rivet_s3_minio_test.yaml --depth full
check I2 "GCS, emulated" 0 bash dev/run_gcs_fake_export.sh
says I2 "it was validated" 'validated: +pass'
says I2 "the objects are in the bucket" '"name": ?"exports/orders/orders_chunked_gcs_fake_[^"]*\.parquet"'
check I2b "doctor: GCS, emulated" 0 rivet doctor --config dev/rivet_gcs_fake_test.yaml
check I2c "what is in GCS is what was written" 0 rivet validate --config dev/rivet_gcs_fake_test.yaml --depth full
if [ -n "${RIVET_UAT_GCS_BUCKET:-}" ]; then
    check I3 "GCS" 0 rivet run --config dev/rivet_gcs_rivet_data_test.yaml --validate
    says I3 "it was validated" 'validated: +pass'
else
    skip I3 "GCS" "RIVET_UAT_GCS_BUCKET names no bucket"
fi
check J1 "time window" 0 rivet run --config dev/_uat_time_window.yaml
says J1 "the strategy is told" 'strategy: +time-window\(created_at, 7d\)'
check K1 "a schema that changes" 0 bash dev/test_schema_evolution.sh
says K1 "the change is told" 'schema changed'
check L1 "stdout" 0 bash -c 'rivet run --config dev/test_stdout.yaml | head -1 | grep "^id,name,email"'
check L2 "stdout, to a file" 0 bash -c 'rivet run --config dev/test_stdout.yaml >dev/output/stdout.csv && [ "$(wc -l <dev/output/stdout.csv)" -gt 5000 ]'
check M1 "a parameter" 0 rivet run --config dev/test_params.yaml --param MAX_ID=10
check M2 "another value" 0 rivet run --config dev/test_params.yaml --param MAX_ID=5
says M2 "it selects" 'rows: +5$'
check M3 "a parameter in check" 0 rivet check --config dev/test_params.yaml --param MAX_ID=100
check N1 "quality, pass" 0 rivet run --config dev/test_quality.yaml --export users_quality_pass --validate
says N1 "the verdict is in the summary" 'quality: +pass'
check N2 "quality, fail" 3 rivet run --config dev/test_quality.yaml --export users_quality_fail_max
says N2 "the verdict is in the summary" 'quality: +FAIL'
check N2b "nothing was published" not0 bash -c 'ls dev/output/users_quality_fail_max*.parquet'
check O1 "batches by memory" 0 env RUST_LOG=info rivet run --config dev/test_memory_batch.yaml
says O1 "the batch size is computed" 'batch_size_memory_mb=10: computed batch_size='
check P1 "files of a bounded size" 0 rivet run --config dev/test_file_split.yaml --validate
check P2 "more than one file" 0 bash -c '[ "$(ls dev/output/users_split_*_part*.parquet | wc -l)" -gt 1 ]'
check Q0 "the way through the proxy is made" 0 bash dev/setup_toxiproxy.sh
check Q1 "through the proxy" 0 rivet run --config dev/test_toxiproxy_pg.yaml --validate
says Q1 "it was validated" 'validated: +pass'
check Q2 "each answer ${RIVET_UAT_LATENCY_MS:=3000} ms late" 0 toxic pg POST "" -d "{\"name\":\"latency\",\"type\":\"latency\",\"attributes\":{\"latency\":$RIVET_UAT_LATENCY_MS}}"
says Q2 "the toxic is told" '"name":"latency"'
check Q3 "export, late" 0 rivet run --config dev/test_toxiproxy_pg.yaml --validate
says Q3 "the same result" 'validated: +pass'
check Q4 "no more latency" 0 toxic pg DELETE /latency
check Q5 "cut after 5 KB" 0 toxic pg POST "" -d '{"name":"limit","type":"limit_data","attributes":{"bytes":5000}}'
check Q6 "export, cut: no hang, no panic" '0|2' timeout 120 rivet run --config dev/test_toxiproxy_pg.yaml
says Q6 "retries are told" 'retry 1/3 \[reconnecting\]'
check Q7 "no more cuts" 0 toxic pg DELETE /limit
check Q8 "export, as at first" 0 rivet run --config dev/test_toxiproxy_pg.yaml --validate
says Q8 "it was validated" 'validated: +pass'
check Q1m "through the proxy, MySQL" 0 rivet run --config dev/test_toxiproxy_mysql.yaml --validate
says Q1m "it was validated" 'validated: +pass'
check Q2m "each answer late, MySQL" 0 toxic mysql POST "" -d "{\"name\":\"latency\",\"type\":\"latency\",\"attributes\":{\"latency\":$RIVET_UAT_LATENCY_MS}}"
check Q3m "export, late, MySQL" 0 rivet run --config dev/test_toxiproxy_mysql.yaml --validate
says Q3m "the same result" 'validated: +pass'
check Q4m "no more latency, MySQL" 0 toxic mysql DELETE /latency
check Q5m "cut after 5 KB, MySQL" 0 toxic mysql POST "" -d '{"name":"limit","type":"limit_data","attributes":{"bytes":5000}}'
check Q6m "export, cut: no hang, no panic, MySQL" '0|2' timeout 120 rivet run --config dev/test_toxiproxy_mysql.yaml
says Q6m "retries are told" 'retry 1/3 \[reconnecting\]'
check Q7m "no more cuts, MySQL" 0 toxic mysql DELETE /limit
check Q8m "export, as at first, MySQL" 0 rivet run --config dev/test_toxiproxy_mysql.yaml --validate
says Q8m "it was validated" 'validated: +pass'
bench=dev/bench_chunked_p4.yaml
check R1 "chunks with checkpoints" 0 rivet run --config $bench --export bench_content_p4_serial --validate
says R1 "it succeeds" 'status: +success'
says R1 "all rows are there" 'rows: +200,000$'
says R1 "in 20 files" 'files: +20$'
check R2 "the chunks are listed" 0 rivet state chunks --config $bench --export bench_content_p4_serial
says R2 "they are completed" 'status: completed'
says R2 "with their plan" 'plan_hash [0-9a-f]+'
check R2b "there are 20" 0 bash -c "[ \"\$(rivet state chunks --config $bench --export bench_content_p4_serial | grep -c ' completed  .*chunk')\" = 20 ]"
# Killed when some chunks are there.
killed() {
    rivet run --config $bench --export bench_content_p4 &
    local pid=$!
    until [ "$(ls dev/output/bench | grep -c '^bench_content_p4_2.*staged')" -ge 5 ] || ! kill -0 $pid; do sleep 0.05; done
    kill -9 $pid
    wait $pid
}
check R3a "killed in the middle of four workers" 137 killed
cp $bench "$out/bench.yaml"
awk '/name: bench_content_p4$/ { own = 1 } own && /chunk_size/ { sub(/10000/, "15000"); own = 0 } { print }' "$out/bench.yaml" >$bench
check R5 "a changed plan is not resumed" not0 rivet run --config $bench --export bench_content_p4 --resume
says R5 "it says why" 'chunk plan fingerprint mismatch'
cp "$out/bench.yaml" $bench
check R3 "resumed" 0 rivet run --config $bench --export bench_content_p4 --resume
says R3 "finished chunks are kept" 'kept: +[1-9]'
says R3 "all rows are there" 'rows: +200,000$'
says R3 "in 20 files" 'files: +20$'
check R4 "the chunks of an export are reset" 0 rivet state reset-chunks --config $bench --export bench_content_p4_serial
check R4b "the next run has a plan of its own" 0 rivet run --config $bench --export bench_content_p4_serial --validate
says R4b "all rows are there" 'rows: +200,000$'
check S1 "a profile of its own" 0 rivet run --config $bench --export bench_content_p4_balanced
says S1 "it is told" 'tuning: +profile=balanced'
check S2 "all exports at once, on threads" 0 rivet run --config $bench --parallel-exports
says S2 "all succeed" '3 succeeded'
check S3 "all exports at once, in processes" 0 rivet run --config $bench --parallel-export-processes
says S3 "all succeed" '3 succeeded'
check S4 "one export is one job" 0 rivet run --config $bench --export bench_content_p4 --parallel-exports
sed '1i parallel_exports: true' $bench >dev/_bench_s5.yaml
check S5 "the same as a key" 0 rivet run --config dev/_bench_s5.yaml
says S5 "all succeed" '3 succeeded'
rm -f dev/_bench_s5.yaml
later T1 "monitoring"
later T2 "monitoring under load"
check U1 "few ids over a wide band" 0 psql -XAt "postgresql://rivet:rivet@localhost:5432/rivet" -c "select count(*) * 1000 < max(id) - min(id) from orders_sparse"
says U1 "less than one in a thousand" '^t$'
check U2 "check of chunks on a sparse key" 0 rivet check --config dev/sparse_chunk_demo.yaml --export orders_sparse_on_id
says U2 "it says what it costs" 'EFFICIENT|ACCEPTABLE|sparse'
check U2b "chunks on a sparse key" 0 rivet run --config dev/sparse_chunk_demo.yaml --export orders_sparse_on_id
says U2b "no chunk is empty: at most 20 files" 'files: +1?[0-9]$'
check U3 "chunks of so many rows" 0 rivet run --config dev/sparse_chunk_demo.yaml --export orders_sparse_builtin_dense
says U3 "all rows" 'rows: +[1-9]'
check U3b "in the folder" 0 bash -c 'ls dev/output/sparse_chunk/*.parquet'

echo "$passed PASS, $failed FAIL, $later LATER, $skipped SKIP"
[ "$failed" = 0 ]
