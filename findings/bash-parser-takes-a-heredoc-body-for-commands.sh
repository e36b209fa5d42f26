#!/usr/bin/env bash
# Tool: bash-parser 0.5.0 (npm).
# Expected: a here-document is read, or refused as unsupported.
# Seen: `<<` becomes an argument of the command and each line of the body becomes
#   a command of its own, without an error. `[[ -f a && b == c ]]` splits into
#   the commands `[[ -f a` and `b == c ]]`; `((i++))` becomes a subshell.
# Matters: a tool that lists the commands of a RUN step reports the lines of a
#   configuration file as programs that were run.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts bash-parser@0.5.0
got=$(node - <<'JS'
const parse = require('bash-parser');
const name = c => c.type === 'Command' ? [c.name.text, ...(c.suffix || []).map(s => s.text)].join(' ')
  : c.type === 'LogicalExpression' ? name(c.left) + ' | ' + name(c.right) : c.type;
for (const text of ['cat <<END\nreboot now\nEND\necho done', '[[ -f a && b == c ]]', '((i++))'])
  console.log(parse(text).commands.map(name).join(' | '));
JS
)
want='cat << | reboot now | END | echo done
[[ -f a | b == c ]]
Subshell'
echo "$got"; [ "$got" = "$want" ]
