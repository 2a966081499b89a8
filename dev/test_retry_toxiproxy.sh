#!/usr/bin/env bash
# Suite Q of the acceptance plan: exports through a proxy that delays, and cuts.
exec bash dev/run_uat_smoke.sh Q
