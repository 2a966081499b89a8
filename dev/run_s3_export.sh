#!/usr/bin/env bash
# Exports to the store that rivet_s3_minio_test.yaml names, and lists what is in the bucket with another client.
set -eu
rivet run --config dev/rivet_s3_minio_test.yaml --validate
curl -sSf --aws-sigv4 aws:amz:us-east-1:s3 --user "$MINIO_ACCESS_KEY:$MINIO_SECRET_KEY" \
    "http://localhost:9000/rivet-test?list-type=2&prefix=exports%2Forders%2F" | sed 's/<Contents>/\n&/g'
echo
