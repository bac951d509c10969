#!/usr/bin/env bash
# Requests of every kind to every route of the OpenAPI document of a running service: none may
# be answered with 500, nor otherwise than the document says.
#   pip install schemathesis && fuzz.sh http://127.0.0.1:8080 [MORE OPTIONS OF `st run`]
# /v1/embed is left out: schemathesis makes no lines of JSON. What a document cannot say (that
# a model or an example of that name is there) is not judged.
set -euo pipefail
base=${1%/}
shift
st run "$base/openapi.json" --url "$base" --continue-on-failure --max-examples 50 \
    --exclude-path /v1/embed --phases coverage,fuzzing --warnings off \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance \
    "$@"
