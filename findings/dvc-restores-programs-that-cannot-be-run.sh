#!/usr/bin/env bash
# Tool: dvc 3.67.1 with dvc-data 3.18.3 and dvc-objects 5.2.0 (PyPI, 2026), the default cache.
# Expected: `dvc repro` leaves the outputs of a stage as the stage made them, and what the cache restores
#   later is the same. dvc.lock has the field isexec for it.
# Seen: in a folder, no file is executable once it came from the cache, links are files and empty folders
#   are missing. Links are replaced right after the stage, too, and a single file loses the bits of group
#   and others. There is no message, and `dvc status` finds nothing changed. isexec is kept only for an
#   output that is a single file. Output:
#     the stage: folder/run 755, folder/link link, folder/empty yes, single 755
#     dvc repro: folder/run 755, folder/link file 644, folder/empty yes, single 744
#     restored: folder/run 644, folder/link file 644, folder/empty no, single 744
#     the next stage, which runs folder/run: exit 126
# Matters: a stage that compiles programs, or makes an environment, works where it runs and fails in the CI
#   job or on the colleague's machine that gets its outputs from the cache; copied into an image, they are
#   denied only when it starts. Libraries with links for their versions take the space of each name.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q dvc==3.67.1 dvc-data==3.18.3 dvc-objects==5.2.0
export DVC_NO_ANALYTICS=1
cat >stage.sh <<'SH'
umask 022
mkdir -p folder/empty
printf '#!/bin/sh\necho folder\n' >folder/run
printf '#!/bin/sh\necho single\n' >single
chmod 755 folder/run single
ln -s run folder/link
SH
look() { # NAME: what a state of the outputs is
    local link=link
    [ -L folder/link ] || link="file $(stat -c %a folder/link)"
    echo "$1: folder/run $(stat -c %a folder/run), folder/link $link," \
        "folder/empty $([ -d folder/empty ] && echo yes || echo no), single $(stat -c %a single)"
}
sh stage.sh
got=$(look 'the stage')
rm -r folder single
v/bin/dvc init --no-scm -q
cat >dvc.yaml <<'YAML'
stages:
  build:
    cmd: sh stage.sh
    deps: [stage.sh]
    outs: [folder, single]
YAML
v/bin/dvc repro -q
got+=$'\n'$(look 'dvc repro')
rm -r folder single
v/bin/dvc checkout -q
[ "$(v/bin/dvc status)" = 'Data and pipelines are up to date.' ]
got+=$'\n'$(look restored)
cat >>dvc.yaml <<'YAML'
  use:
    cmd: folder/run || echo $? >status
    deps: [folder]
YAML
v/bin/dvc repro -q 2>repro.log
got+=$'\n'"the next stage, which runs folder/run: exit $(cat status 2>/dev/null || echo 0)"
want='the stage: folder/run 755, folder/link link, folder/empty yes, single 755
dvc repro: folder/run 755, folder/link file 644, folder/empty yes, single 744
restored: folder/run 644, folder/link file 644, folder/empty no, single 744
the next stage, which runs folder/run: exit 126'
echo "$got"; [ "$got" = "$want" ]
