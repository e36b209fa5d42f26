#!/usr/bin/env bash
# Tool: string-argv 0.4.0 (npm); bash for comparison.
# Expected: a command line that bash wrote with `printf %q` or `${var@Q}` splits
#   into the same arguments.
# Seen: the backslash is a letter, inside quotes and outside. "a\ b" is two
#   arguments, 'it'\''s' is "it\s", and "{\"n\": 1}" is the word {\n\: 1}.
#   Nothing fails. Plain quotes are read like bash.
# Matters: entry points and RUN lines with an apostrophe or JSON in them get other
#   arguments.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts string-argv@0.4.0
value="it's"
printf '%s\n' 'run --name="a b"' "echo $(printf %q 'a b')" "echo ${value@Q}" 'echo "{\"n\": 1}"' >lines
cat >a.mjs <<'JS'
import { readFileSync } from 'fs';
import { parseArgsStringToArgv } from 'string-argv';
for (const line of readFileSync('lines', 'utf8').trim().split('\n')) {
  console.log(parseArgsStringToArgv(line).map((word) => `<${word}>`).join(' '));
}
JS
node a.mjs >got
while IFS= read -r line; do bash -c "set -- $line; printf '<%s> ' \"\$@\"; echo"; done <lines >bash
paste -d '\n' bash got
cat >want <<'TXT'
<run> <--name=a b>
<echo> <a\> <b>
<echo> <it\s>
<echo> <{\n\: 1}>
TXT
cmp got want
