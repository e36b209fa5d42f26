#!/usr/bin/env bash
# Tool: @yarnpkg/shell 4.1.4 (npm), the shell in which Yarn runs the scripts of
#   package.json; bash for comparison.
# Expected: it covers a part of the POSIX shell. What it accepts means the same, and
#   what it does not know is an error.
# Seen: a process that ends by any signal has the status 129, which elsewhere says
#   "hangup". A failed command substitution in an assignment counts as success, so
#   `X=$(step) && next` goes on. `set -e` prints "command not found", the next command
#   runs, and the script ends with 0. A comment is passed to the command as words, and
#   a number with a leading zero is decimal. Output, as status and what was printed:
#     kill -9: bash 137, yarn 129
#     kill -15: bash 143, yarn 129
#     X=$(false) && echo next: bash 1, yarn 0 next
#     set -e; false; echo next: bash 1, yarn 0 next
#     echo a # b: bash 0 a, yarn 0 a # b
#     echo $((010)): bash 0 8, yarn 0 10
# Matters: the 137 by which people know a build that ran out of memory does not appear,
#   and a build goes on after a step that failed.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts @yarnpkg/shell@4.1.4
cat >a.js <<'JS'
const { execute } = require('@yarnpkg/shell');
const { PassThrough } = require('stream');
const { spawnSync } = require('child_process');

const scripts = [
  ['kill -9', "sh -c 'kill -9 $$'"],
  ['kill -15', "sh -c 'kill -15 $$'"],
  ...['X=$(false) && echo next', 'set -e; false; echo next', 'echo a # b', 'echo $((010))'].map((text) => [text, text]),
];
const result = (status, text) => [status, ...text.split('\n')].join(' ').trim();

async function yarn(script) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  let text = '';
  stdout.on('data', (data) => { text += data; });
  stderr.resume();
  const status = await execute(script, [], { stdout, stderr, env: process.env });
  await new Promise((done) => { stdout.end(done); stdout.resume(); });
  return result(status, text);
}

function bash(script) {
  const run = spawnSync('bash', ['-c', script + '\nexit $?'], { encoding: 'utf8' });
  return result(run.status, run.stdout);
}

(async () => {
  for (const [name, script] of scripts) {
    console.log(`${name}: bash ${bash(script)}, yarn ${await yarn(script)}`);
  }
})();
JS
got=$(node a.js)
want='kill -9: bash 137, yarn 129
kill -15: bash 143, yarn 129
X=$(false) && echo next: bash 1, yarn 0 next
set -e; false; echo next: bash 1, yarn 0 next
echo a # b: bash 0 a, yarn 0 a # b
echo $((010)): bash 0 8, yarn 0 10'
echo "$got"; [ "$got" = "$want" ]
