#!/usr/bin/env bash
# Tool: composerize 1.7.6 (npm).
# Expected: options that it cannot express are listed as ignored, as it does for
#   --cidfile.
# Seen: `--mount type=bind,src=/a,dst=/b,readonly` becomes a volume with the keys
#   src and dst, which Compose does not know (source, target), and without
#   read_only. No line says so. Two blanks inside a quoted argument become one.
# Matters: a read-only mount turns into a writable one when the keys are repaired.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts composerize@1.7.6
got=$(node - <<'JS'
const composerize = require('composerize');
console.log(composerize('docker run --cidfile=x --mount type=bind,src=/a,dst=/b,readonly -v /c:/d:ro image echo "a  b"'));
JS
)
want='# ignored options for '"'image'"'
# --cidfile=x
name: <your project name>
services:
    image:
        volumes:
            - type: bind
              src: /a
              dst: /b
            - /c:/d:ro
        image: image
        command: echo "a b"'
echo "$got"; [ "$got" = "$want" ]
