#!/usr/bin/env bash
# Exports to the emulator that rivet_gcs_fake_test.yaml names, and lists what is in the bucket with another client.
set -eu
rivet run --config dev/rivet_gcs_fake_test.yaml --validate
curl -sSf "http://127.0.0.1:4443/storage/v1/b/rivet-fake/o?prefix=exports/orders/" | sed 's/{"kind/\n&/g'
echo
