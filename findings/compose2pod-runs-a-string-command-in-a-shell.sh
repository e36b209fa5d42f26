#!/usr/bin/env bash
# Tool: compose2pod 0.7.2 (PyPI, 2026), from a compose file to a podman script.
# Expected: `command: postgres -c fsync=off` is split into words and given to the
#   entry point of the image, as in Compose, whose documentation says that the text
#   does not run in a shell; $$HOME is the text $HOME.
# Seen: a text becomes the three words /bin/sh, -c and the text; only a list is passed
#   on. Output (the end of the two podman lines and what the entry point "echo" gets):
#     --name test-pod-db "postgres" /bin/sh -c "postgres -c fsync=off" || rc=$?
#     --entrypoint "echo" "alpine" /bin/sh -c "one \$HOME" || rc=$?
#     list: "postgres" "postgres" "-c" "fsync=off" || rc=$?
# Matters: the entry points of database images look at the first word to drop root
#   and to create the data; with /bin/sh there they do neither. Images whose entry
#   point is the program get "/bin/sh" as an argument.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps compose2pod==0.7.2
convert() { printf '{"services": {"db": %s}}' "$1" | v/bin/compose2pod --target db --image ci --format json | grep -o '\(--entrypoint\|--name test-pod-db\|"postgres"\).*rc=$?$'; }
{
  convert '{"image": "postgres", "command": "postgres -c fsync=off"}'
  convert '{"image": "alpine", "entrypoint": ["echo"], "command": "one $$HOME"}' | grep -o -- '--entrypoint.*'
  convert '{"image": "postgres", "command": ["postgres", "-c", "fsync=off"]}' | sed 's/.*--name test-pod-db/list:/'
} >got
want='--name test-pod-db "postgres" /bin/sh -c "postgres -c fsync=off" || rc=$?
--entrypoint "echo" "alpine" /bin/sh -c "one \$HOME" || rc=$?
list: "postgres" "postgres" "-c" "fsync=off" || rc=$?'
cat got; [ "$(cat got)" = "$want" ]
