#!/usr/bin/env bash
# Tool: @dprint/dockerfile 0.6.0 with @dprint/formatter 0.6.0 (npm).
# Expected: a blank line inside a continued RUN, which Docker skips with a warning,
#   is removed or kept.
# Seen: the formatter takes it for the end of the instruction. It removes the
#   backslash before it and moves the rest to the first column, where "make" is an
#   instruction that does not exist. A comment line in the same place is kept.
# Matters: the formatter reports success and the file no longer builds.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts @dprint/dockerfile@0.6.0 @dprint/formatter@0.6.0
printf '%s\n' 'FROM alpine' 'RUN ./configure && \' '' '    make' 'RUN ./test \' '    # all' '    --all' >Dockerfile
cat >a.mjs <<'JS'
import { readFileSync } from 'fs';
import { createFromBuffer } from '@dprint/formatter';
import { getPath } from '@dprint/dockerfile';
const formatter = createFromBuffer(readFileSync(getPath()));
const fileText = readFileSync('Dockerfile', 'utf8');
process.stdout.write(formatter.formatText({ filePath: 'Dockerfile', fileText }));
JS
node a.mjs >got
cat >want <<'TXT'
FROM alpine
RUN ./configure &&

make
RUN ./test \
    # all
    --all
TXT
cat got; cmp got want
