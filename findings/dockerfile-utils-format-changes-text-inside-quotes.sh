#!/usr/bin/env bash
# Tool: dockerfile-utils 0.16.3 (npm), the formatter of the Dockerfile language
#   server.
# Expected: indenting a continued line does not change a quoted value that spans
#   the lines.
# Seen: the formatter indents the second line of a quoted text as well. After the
#   lines are joined, ENV A has four spaces where the author had one.
# Matters: formatting changes the value of a variable, and so the cache key of
#   each later step.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts dockerfile-utils@0.16.3 dockerfile-ast@0.7.1
got=$(node - <<'JS'
const { format } = require('dockerfile-utils'), { DockerfileParser } = require('dockerfile-ast');
const text = 'FROM a\nENV A="x\\\n y"\n';
const value = t => JSON.stringify(DockerfileParser.parse(t).getENVs()[0].getProperties()[0].getValue());
const lines = text.split('\n'); // one edit replaces the leading blanks of a line
for (const edit of format(text, { insertSpaces: true, tabSize: 4 })) {
  const { start, end } = edit.range;
  lines[start.line] = lines[start.line].slice(0, start.character) + edit.newText + lines[start.line].slice(end.character);
}
console.log('before', value(text));
console.log('after ', value(lines.join('\n')));
JS
)
want='before "x y"
after  "x    y"'
echo "$got"; [ "$got" = "$want" ]
