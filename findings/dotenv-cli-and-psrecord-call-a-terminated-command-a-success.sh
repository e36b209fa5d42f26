#!/usr/bin/env bash
# Tool: dotenv-cli 11.0.0 and cross-env 10.1.0 (npm), psrecord 1.4 (PyPI); env-cmd 11.0.0 (npm) for comparison.
# Expected: a program that runs a command for its environment or its measurement exits with the status of the command,
#   and not with 0 when a signal ended it.
# Seen: dotenv-cli exits with 0 when SIGTERM or SIGINT ended the command, cross-env when SIGINT did, and psrecord always,
#   also when the command exits with 3. Output, the exit status by what ended the command:
#     env-cmd: exit 3 is 3, KILL is 137, TERM is 143, INT is 130
#     dotenv-cli: exit 3 is 3, KILL is 137, TERM is 0, INT is 0
#     cross-env: exit 3 is 3, KILL is 1, TERM is 1, INT is 0
#     psrecord: exit 3 is 0, KILL is 0, TERM is 0, INT is 0
# Matters: a supervisor or a time limit ends the tests with SIGTERM, `dotenv -- npm test` exits with 0, and the pipeline
#   goes on to the release.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund dotenv-cli@11.0.0 cross-env@10.1.0 env-cmd@11.0.0 >npm.log
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check psrecord==1.4
cat >end <<'SH'
case $1 in
exit) exit 3 ;;
*) kill "-$1" $$ ;;
esac
SH
touch .env
status() { "$@" >log 2>&1 && echo 0 || echo $?; }
try() {
  name=$1
  shift
  echo "$name: exit 3 is $(status "$@" sh end exit), KILL is $(status "$@" sh end KILL)," \
    "TERM is $(status "$@" sh end TERM), INT is $(status "$@" sh end INT)"
}
recorded() { venv/bin/psrecord --log psrecord.txt "$*"; }
bin=node_modules/.bin
got=$( (try env-cmd $bin/env-cmd --file .env --; try dotenv-cli $bin/dotenv --; try cross-env $bin/cross-env NAME=1
  try psrecord recorded) 2>shell.log)
want='env-cmd: exit 3 is 3, KILL is 137, TERM is 143, INT is 130
dotenv-cli: exit 3 is 3, KILL is 137, TERM is 0, INT is 0
cross-env: exit 3 is 3, KILL is 1, TERM is 1, INT is 0
psrecord: exit 3 is 0, KILL is 0, TERM is 0, INT is 0'
echo "$got"; [ "$got" = "$want" ]
