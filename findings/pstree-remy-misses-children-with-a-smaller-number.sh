#!/usr/bin/env bash
# Tool: pstree.remy 1.1.8 (npm; nodemon stops its children with it) and pidtree 1.0.0
#   (npm) for comparison. Needs root, for a namespace in which process numbers can be
#   chosen.
# Expected: the tree of a process has all its descendants.
# Seen: the list of processes is read once, and a process counts only if its parent
#   stands before it. `ps` sorts by number, so a grandchild that started after the
#   numbers began again is missing. Without `ps`, as in slim images, `ls /proc` sorts
#   as text, so 10 stands before its parent 9. Output (8 has the child 9 with the child
#   10, 300 has the child 301 with the child 50):
#     with ps: 8 -> 9 10, 300 -> 301
#     without ps: 8 -> 9, 300 -> 301 50
#     pidtree: 8 -> 9 10, 300 -> 301 50
# Matters: in a container the numbers are small and pass 9, 99 and 999 in each build.
#   The watcher restarts, the old compiler goes on and keeps its port and files.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts pstree.remy@1.1.8 pidtree@1.0.0
cat >tree.js <<'JS'
const library = require(process.argv[2]);
const tree = library.pidtree ? async (pid, done) => done(null, await library.pidtree(pid)) : library;
const pids = ['8', '300'];
const found = [];
const next = () => {
  if (found.length === pids.length) return console.log(found.join(', '));
  const pid = pids[found.length];
  tree(pid, (error, children) => {
    found.push([pid, '->', ...children].join(' '));
    next();
  });
};
setTimeout(next, 500);
JS
cat >inside.sh <<'SH2'
set_last() { echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid; }
export -f set_last
chain() {
  set_last "$1"
  bash -c "set_last $2; bash -c 'set_last $3; sleep 60 & wait' & wait" &
  read -rt 1 -u 3 || true
}
exec 3<>pipe
chain 8 9 10
chain 300 301 50
set_last 1000
echo "with ps: $(node tree.js pstree.remy)"
echo "without ps: $(NO_PS=1 node tree.js pstree.remy)"
echo "pidtree: $(node tree.js pidtree)"
SH2
mkfifo pipe
got=$(unshare --pid --fork --mount-proc --kill-child bash inside.sh)
want='with ps: 8 -> 9 10, 300 -> 301
without ps: 8 -> 9, 300 -> 301 50
pidtree: 8 -> 9 10, 300 -> 301 50'
echo "$got"; [ "$got" = "$want" ]
