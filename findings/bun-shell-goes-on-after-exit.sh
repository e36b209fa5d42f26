#!/usr/bin/env bash
# Tool: the shell of bun 1.4.5 (npm, 2026), which runs `bun exec`, scripts under `--shell=bun` and Bun.$;
#   bash (installed) for comparison.
# Expected: `tool || exit 4` ends a script, as `exit` is one of the documented builtins, and `*.txt` gives the
#   names in sorted order, as in each shell.
# Seen: exit ends only its own command. What follows runs, and the status of the script is that of its last
#   command, so the failure is lost. Names come in the order in which the file system lists the folder. There
#   is no message. Output:
#     bash: checked; status 4
#     bun: checked, published; status 0
#     names are sorted: bash yes, bun no
# Matters: a build script that checks something and exits goes on and publishes, with exit status 0. A file
#   made of `cat part*.txt` has another order, and another digest, on another machine.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund bun@1.4.5 >npm.log
bun=$dir/node_modules/.bin/bun
script='echo checked; sh -c "exit 1" || exit 4; echo published'
run() {
  local name=$1 text status=0
  shift
  text=$("$@" "$script") || status=$?
  echo "$name: ${text//$'\n'/, }; status $status"
}
mkdir parts
cd parts
for part in {100..163}; do : >"part$part.txt"; done
sorted() { if "$@" 'printf "%s\n" part*.txt' | sort --check=silent; then echo yes; else echo no; fi; }
got="$(run bash bash -c; run bun "$bun" exec)
names are sorted: bash $(sorted bash -c), bun $(sorted "$bun" exec)"
want='bash: checked; status 4
bun: checked, published; status 0
names are sorted: bash yes, bun no'
echo "$got"; [ "$got" = "$want" ]
