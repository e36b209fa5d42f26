#!/usr/bin/env bash
# Tool: @stroncium/procfs 1.2.1 (npm).
# Expected: in a line of /proc/PID/cgroup everything after the second colon is the
#   path. Names with colons are common: a runtime that is told "slice:prefix:name"
#   without the systemd driver makes a folder of that name.
# Seen: the path ends at its first colon, without an error. Output:
#     0::/system.slice:docker:4f2a -> /system.slice
#     0::/kubepods/pod1:web/app -> /kubepods/pod1
# Matters: usage is read from /sys/fs/cgroup/system.slice, which exists: the
#   container gets the memory and CPU time of all services of the machine.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts @stroncium/procfs@1.2.1
cat >a.js <<'JS'
const cgroups = require('@stroncium/procfs/lib/parsers').processCgroups;
for (const line of ['0::/system.slice:docker:4f2a', '0::/kubepods/pod1:web/app', '0::/system.slice/docker-4f2a.scope']) {
  console.log(line, '->', cgroups(line + '\n')[0].path);
}
JS
got=$(node a.js)
want='0::/system.slice:docker:4f2a -> /system.slice
0::/kubepods/pod1:web/app -> /kubepods/pod1
0::/system.slice/docker-4f2a.scope -> /system.slice/docker-4f2a.scope'
echo "$got"; [ "$got" = "$want" ]
