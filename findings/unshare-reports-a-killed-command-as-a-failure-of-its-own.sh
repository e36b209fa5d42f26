#!/usr/bin/env bash
# Tool: unshare of util-linux 2.38.1 (util-linux 2.38.1-5+deb12u3, Debian 12), `unshare --fork`.
# Expected: the exit status tells what happened to the command: 3 for `exit 3`, and for a signal 128 and its number, as the
#   manual's "status of the program" suggests and as `setsid --wait` has it.
# Seen: this holds for SIGTERM. SIGKILL, which is what the kernel sends when memory runs out, gives status 1 and a message about
#   a system call of unshare: to die of the same signal, it resets the signal's handler first, which is not allowed for SIGKILL.
#   Output:
#     exit 3: 3
#     SIGTERM: 143
#     SIGKILL: 1 (unshare: sigprocmask unblock failed: Invalid argument)
#     SIGKILL, setsid --wait: 137
# Matters: a builder that isolates its steps with unshare cannot tell a step that ran out of memory from one that failed, and
#   the log points to unshare.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q util-linux=2.38.1-5+deb12u3 >apt.log 2>&1
dpkg-deb -x util-linux_*.deb deb
status() { { bash -c '"$@" 2>messages; echo $?' bash "$@"; } 2>/dev/null; }
unshare=(deb/usr/bin/unshare --fork)
got="exit 3: $(status "${unshare[@]}" sh -c 'exit 3')
SIGTERM: $(status "${unshare[@]}" sh -c 'kill -TERM $$')
SIGKILL: $(status "${unshare[@]}" sh -c 'kill -KILL $$') ($(sed 's,.*/unshare: ,unshare: ,' messages))
SIGKILL, setsid --wait: $(status deb/usr/bin/setsid --wait sh -c 'kill -KILL $$')"
want='exit 3: 3
SIGTERM: 143
SIGKILL: 1 (unshare: sigprocmask unblock failed: Invalid argument)
SIGKILL, setsid --wait: 137'
echo "$got"; [ "$got" = "$want" ]
