#!/usr/bin/env bash
# Tool: bun 1.4.5 (npm, 2026), which migrates the lock file of another package manager at the first
#   `bun install`; pnpm 12.21.0 and npm (installed) make the files.
# Expected: bun.lock has the versions of the old file, and each package the ranges that it asks for itself, so
#   `bun update` moves what is below the direct dependencies within those ranges. After a migration from
#   package-lock.json it does.
# Seen: pnpm-lock.yaml records which version a package got, not which range it asked for. The migration writes
#   that version where the range belongs, so each package below is pinned. `bun update` moves none of them,
#   without a message. Output, chalk 4.1.2 asks for supports-color ^7.1.0, 7.1.0 is locked, 7.2.0 is out:
#     from npm: installed 7.1.0, bun.lock has ^7.1.0, after bun update 7.2.0
#     from pnpm: installed 7.1.0, bun.lock has 7.1.0, after bun update 7.1.0
#     after pnpm update, without bun: 7.2.0
# Matters: after the move, fixes of packages below do not arrive, for as long as their parent stays at its
#   version; a new dependency that needs a later one gets a second copy. bun.lock looks like any other.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund --prefix tools pnpm@12.21.0 bun@1.4.5 >tools.log
export PATH=$PWD/tools/node_modules/.bin:$PATH
manifest() { echo "{\"name\": \"a\", \"version\": \"1.0.0\", \"dependencies\": {\"chalk\": \"^4.1.2\"}$1}"; }
mkdir npm pnpm
# An override makes a lock file of the time when 7.1.0 was the newest, and is gone afterwards.
cd npm
manifest ', "overrides": {"supports-color": "7.1.0"}' >package.json
npm install --silent --no-audit --no-fund --package-lock-only
manifest '' >package.json
cd ../pnpm
manifest '' >package.json
printf 'overrides:\n  supports-color: 7.1.0\n' >pnpm-workspace.yaml
pnpm install --lockfile-only >pnpm.log 2>&1
rm pnpm-workspace.yaml
sed -i '/^overrides:/,/^$/d' pnpm-lock.yaml
cd ..; cp -r pnpm pnpm-update
installed() { sed -n 's/^\s*"version": "\(.*\)".*/\1/p' "$1"/supports-color/package.json; }
migrate() { # FROM: what bun makes of the lock file
    cd "$1"
    bun install >bun.log 2>&1
    before=$(installed node_modules)
    range=$(sed -n 's/.*\["chalk@.*"supports-color": "\([^"]*\)".*/\1/p' bun.lock)
    rm -f package-lock.json pnpm-lock.yaml
    bun update >update.log 2>&1
    echo "from $1: installed $before, bun.lock has $range, after bun update $(installed node_modules)"
    cd ..
}
got=$(
    migrate npm
    migrate pnpm
    cd pnpm-update
    pnpm install --frozen-lockfile >pnpm.log 2>&1
    pnpm update >>pnpm.log 2>&1
    echo "after pnpm update, without bun: $(installed node_modules/.pnpm/supports-color@7.2.0/node_modules)"
)
want='from npm: installed 7.1.0, bun.lock has ^7.1.0, after bun update 7.2.0
from pnpm: installed 7.1.0, bun.lock has 7.1.0, after bun update 7.1.0
after pnpm update, without bun: 7.2.0'
echo "$got"; [ "$got" = "$want" ]
