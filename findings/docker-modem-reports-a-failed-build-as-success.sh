#!/usr/bin/env bash
# Tool: docker-modem 5.0.7 (npm; dockerode's transport), followProgress().
# Expected: when the build stream of the engine ends with an error object, the
#   callback gets it as its first argument, as Node callbacks do.
# Seen: the error is the last element of the output list and the first argument
#   is null. Only a broken connection sets it.
# Matters: `if (err) throw err` passes on a failed RUN step, and the log reader
#   calls the build good.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts docker-modem@5.0.7
got=$(node - <<'JS'
const Modem = require('docker-modem'), { PassThrough } = require('stream');
const body = new PassThrough();
new Modem().followProgress(body, (err, output) => console.log('error:', err, 'last:', JSON.stringify(output.at(-1))));
body.write('{"stream":"Step 2/2 : RUN false\\n"}\r\n');
body.end('{"errorDetail":{"code":1,"message":"returned a non-zero code: 1"},"error":"returned a non-zero code: 1"}\r\n');
JS
)
want='error: null last: {"errorDetail":{"code":1,"message":"returned a non-zero code: 1"},"error":"returned a non-zero code: 1"}'
echo "$got"; [ "$got" = "$want" ]
