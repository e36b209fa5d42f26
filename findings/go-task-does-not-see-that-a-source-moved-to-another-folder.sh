#!/usr/bin/env bash
# Tool: go-task 3.54.0 (go-task-bin, PyPI, 2026), which runs Taskfiles; GNU tar (installed).
# Expected: a task whose sources are src/**/* runs again when the files that this pattern gives are other
#   ones. The manual says that a build should run when its inputs change, and that the default method
#   compares their content with a saved fingerprint.
# Seen: of the path of a source, only the last part is in the fingerprint. A file that moves to another
#   folder, or a folder that gets another name, leaves it as it was if the order of the files does. So
#   does a program that becomes executable. A file with a new name in the same folder is seen. Output:
#     first run: runs
#     nothing changed: up to date
#     v1/schema.sql moved to v2/schema.sql: up to date, the archive has v1/schema.sql
#     tests became checks: up to date, the archive has tests/all.sh
#     tests/all.sh became executable: up to date, the archive has mode rw-r--r--
#     v1/schema.sql became v1/tables.sql: runs
# Matters: after a change of branch that moves files, the task is "up to date", exits with 0 and leaves
#   what it built from the old tree. A clean checkout builds something else from the same commit.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q go-task-bin==3.54.0
cat >Taskfile.yml <<'YML'
version: '3'
tasks:
  pack:
    sources: ['src/**/*']
    generates: [out.tar]
    cmds: ['tar -cf out.tar -C src .']
YML
start() { # builds the archive of a fresh tree
    rm -rf src .task out.tar; mkdir -p src/v1 src/tests
    echo 'create table t (a int)' >src/v1/schema.sql
    echo 'exit 0' >src/tests/all.sh
    chmod 644 src/tests/all.sh
    run >/dev/null
}
run() {
    v/bin/task pack >log 2>&1
    if grep -q 'is up to date' log; then echo 'up to date'; else echo runs; fi
}
{
    rm -rf src; mkdir -p src/v1; echo text >src/v1/file
    echo "first run: $(run)"
    echo "nothing changed: $(run)"
    start; mkdir src/v2; mv src/v1/schema.sql src/v2/
    echo "v1/schema.sql moved to v2/schema.sql: $(run), the archive has $(tar -tf out.tar | grep -o 'v.*sql')"
    start; mv src/tests src/checks
    echo "tests became checks: $(run), the archive has $(tar -tf out.tar | grep -o '[a-z]*/all.sh')"
    start; chmod 755 src/tests/all.sh
    echo "tests/all.sh became executable: $(run), the archive has mode $(tar -tvf out.tar | grep all.sh | cut -c 2-10)"
    start; mv src/v1/schema.sql src/v1/tables.sql
    echo "v1/schema.sql became v1/tables.sql: $(run)"
} >got
want='first run: runs
nothing changed: up to date
v1/schema.sql moved to v2/schema.sql: up to date, the archive has v1/schema.sql
tests became checks: up to date, the archive has tests/all.sh
tests/all.sh became executable: up to date, the archive has mode rw-r--r--
v1/schema.sql became v1/tables.sql: runs'
cat got; [ "$(cat got)" = "$want" ]
