#!/usr/bin/env bash
# Tool: moon 2.5.5 (npm, @moonrepo/cli, 2026), the task cache of its runner.
# Expected: outputs that cannot be archived are not cached: the task runs again, as
#   after a failed upload. A symbolic link comes back as a link.
# Seen: a dangling link in the output folder, such as one to a file of a later step,
#   ends the archive with a warning. The unfinished archive stays. The next run is
#   "cached", restores what came before the link in the order of the file system and
#   exits with 0. A link to a file comes back as a copy. Output, of a task that makes
#   dist/b, dist/link (to b), dist/m and in the second case dist/later (to a file that
#   does not exist yet):
#     without: b link m | 1 completed (1 cached), exit status 0: complete
#     links: link 1, after the restore 0
#     with: b later link m | 1 completed (1 cached), exit status 0: incomplete
# Matters: the steps after it work with an incomplete folder, and the warning was in
#   another run, perhaps on another machine.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund @moonrepo/cli@2.5.5 >npm.log
mkdir -p repo/.moon repo/a; cd repo; git init -q
git -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m first
printf 'projects: ["a"]\ntelemetry: false\n' >.moon/workspace.yml
printf 'tasks:\n  build:\n    command: "sh build.sh"\n    inputs: ["build.sh"]\n    outputs: ["dist"]\n' >a/moon.yml
names() { find a/dist -mindepth 1 -printf '%f\n' | sort | xargs; }
links() { find a/dist -type l | wc -l; }
build() { # CASE COMMAND: build, remove the output, build again
  printf 'rm -rf dist; mkdir dist; echo 1 >dist/b; ln -s b dist/link; echo 2 >dist/m; %s\n' "$2" >a/build.sh
  ../node_modules/.bin/moon run a:build >first.log 2>&1
  before=$(names); links=$(links); rm -rf a/dist
  status=0; ../node_modules/.bin/moon run a:build >second.log 2>&1 || status=$?
  after=$(names)
  echo "$1: $before | $(grep -o '1 completed.*' second.log), exit status $status: $(if [ "$after" = "$before" ]; then echo complete; else echo incomplete; fi)"
}
{
  build without true
  echo "links: link $links, after the restore $(links)"
  build with 'ln -s nowhere dist/later'
} >got
want='without: b link m | 1 completed (1 cached), exit status 0: complete
links: link 1, after the restore 0
with: b later link m | 1 completed (1 cached), exit status 0: incomplete'
cat got; [ "$(cat got)" = "$want" ]
