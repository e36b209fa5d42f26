#!/usr/bin/env bash
# Tool: debsbom 0.10.2 with cyclonedx-python-lib and spdx-tools (PyPI, 2026); dpkg (installed).
#   Runs as root, to install packages into a folder.
# Expected: the SBOM of a root file system has each package whose files are there. Only a removed
#   package, of which dpkg keeps the configuration (config-files), is left out.
# Seen: only packages in the state "installed" are in it. Unpacked ones, half-configured ones and
#   those with a pending trigger are missing, with exit status 0 and no message; a package that
#   waits for the trigger of another one is an error. Output, of four root file systems that dpkg
#   made from the same two packages, tool and watcher:
#     --install: tool installed, watcher installed; SBOM has tool watcher
#     --unpack: tool unpacked, watcher unpacked; SBOM has nothing
#     --install --no-triggers: tool triggers-awaited, watcher triggers-pending; SBOM has an error
#     --install, script fails: tool half-configured; SBOM has nothing
# Matters: an image for another architecture is often made with `dpkg --unpack`, since its scripts
#   cannot run, and a package with a pending trigger works. Their vulnerabilities are never reported.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q 'debsbom[cdx]==0.10.2'
package() {
  mkdir -p "$1/DEBIAN" "$1/opt"
  echo "$1" >"$1/opt/$1"
  printf 'Package: %s\nVersion: 1.0-1\nArchitecture: amd64\nMaintainer: Team <team@example.com>\nDescription: test\n' \
    "$1" >"$1/DEBIAN/control"
}
package watcher; echo 'interest /opt/tool' >watcher/DEBIAN/triggers
package tool
dpkg-deb --root-owner-group -b watcher watcher.deb >build.log
dpkg-deb --root-owner-group -b tool tool.deb >>build.log
printf '#!/bin/sh\nexit 1\n' >tool/DEBIAN/postinst; chmod 755 tool/DEBIAN/postinst
dpkg-deb --root-owner-group -b tool fails.deb >>build.log
show() {
  local root=$1 title=$2 states names
  states=$(dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${Package} ${db:Status-Status}, ')
  if v/bin/debsbom generate --root "$root" --distro-arch amd64 --sbom-type cdx --out "$root.sbom" >"$root.log" 2>&1; then
    names=$(python3 -c '
import json, sys
components = json.load(open(sys.argv[1])).get("components", [])
print(*sorted({component["name"] for component in components}) or ["nothing"])' "$root.sbom.cdx.json")
    [ ! -s "$root.log" ] || cat "$root.log" >&2
  else
    names='an error'
  fi
  echo "$title: ${states%, }; SBOM has $names"
}
got=$(
  for root in installed unpacked triggers failed; do
    mkdir -p $root/var/lib/dpkg/updates $root/var/lib/dpkg/info; : >$root/var/lib/dpkg/status
  done
  install() { dpkg --root="$dir/$1" --log=/dev/null --force-not-root --force-script-chrootless "${@:2}" >>dpkg.log 2>&1; }
  install installed --install watcher.deb tool.deb
  show installed '--install'
  install unpacked --unpack watcher.deb tool.deb
  show unpacked '--unpack'
  install triggers --install watcher.deb
  install triggers --no-triggers --install tool.deb
  show triggers '--install --no-triggers'
  install failed --install fails.deb && exit 1
  show failed '--install, script fails'
)
want='--install: tool installed, watcher installed; SBOM has tool watcher
--unpack: tool unpacked, watcher unpacked; SBOM has nothing
--install --no-triggers: tool triggers-awaited, watcher triggers-pending; SBOM has an error
--install, script fails: tool half-configured; SBOM has nothing'
echo "$got"; [ "$got" = "$want" ]
