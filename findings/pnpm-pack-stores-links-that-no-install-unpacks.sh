#!/usr/bin/env bash
# Tool: pnpm 12.21.0, Yarn 4.18.1 (@yarnpkg/cli-dist) and npm 11.19.1 (npm, 2026).
# Expected: one folder gives one package, whichever client packs it: the same files, and programs that can be
#   run. What an archive contains is there after its installation.
# Seen: npm leaves symbolic links out of the archive. pnpm and Yarn store them, and npm and pnpm leave them out
#   when they install it. No client says so at any step. Yarn stores each file that is not listed in "bin"
#   as not executable, which pnpm and npm do not; its manual has a field for that (executableFiles), and the
#   links get mode 644. Output, of a program, a link to it and the command of the package (packed, then
#   installed by npm and by pnpm):
#     npm: command rwx, program rwx, link missing; npm: program rwx, link missing; pnpm: program rwx, link missing
#     pnpm: command rwx, program rwx, link stored; npm: program rwx, link missing; pnpm: program rwx, link missing
#     yarn: command rwx, program rw-, link stored; npm: program rw-, link missing; pnpm: program rw-, link missing
# Matters: a package works in the workspace of its authors, and its archive lists all files. For its users, the
#   file behind the link is not there, and its scripts fail with "Permission denied" if Yarn packed it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund --prefix tool npm@11.19.1 pnpm@12.21.0 @yarnpkg/cli-dist@4.18.1 >npm.log 2>&1
export PNPM_HOME=$dir/pnpm XDG_DATA_HOME=$dir/data XDG_CACHE_HOME=$dir/cache npm_config_cache=$dir/npm YARN_ENABLE_TELEMETRY=0
export PATH=$dir/tool/node_modules/.bin:$PATH
mkdir package
cd package
echo '{"name": "example", "version": "1.0.0", "license": "MIT", "bin": {"example": "cli.js"}}' >package.json
echo '#!/usr/bin/env node' >cli.js
printf '#!/bin/sh\necho hello\n' >hello.sh
chmod 755 cli.js hello.sh
ln -s hello.sh greet.sh
npm pack --silent >../log 2>&1; mv example-1.0.0.tgz ../npm.tgz
pnpm pack >../log 2>&1; mv example-1.0.0.tgz ../pnpm.tgz
touch yarn.lock; yarn pack >../log 2>&1; mv package.tgz ../yarn.tgz
cd ..
packed() { # ARCHIVE
    local mode
    for name in command:cli.js program:hello.sh; do
        mode=$(tar -tvf "$1" "package/${name#*:}" | cut -c 2-4)
        echo -n "${name%:*} $mode, "
    done
    if tar -tf "$1" package/greet.sh >/dev/null 2>&1; then echo -n 'link stored'; else echo -n 'link missing'; fi
}
installed() { # CLIENT ARCHIVE
    local link=missing folder=project/node_modules/example
    rm -rf project; mkdir project
    echo '{"name": "project", "version": "1.0.0", "private": true}' >project/package.json
    case $1 in
    npm) (cd project; npm install --no-audit --no-fund "../$2" >../log 2>&1) ;;
    pnpm) (cd project; pnpm add "../$2" >../log 2>&1) ;;
    esac
    if [ -L $folder/greet.sh ] || [ -e $folder/greet.sh ]; then link=there; fi
    echo -n "$1: program $(stat -L -c %A $folder/hello.sh | cut -c 2-4), link $link"
}
for client in npm pnpm yarn; do
    echo "$client: $(packed $client.tgz); $(installed npm $client.tgz); $(installed pnpm $client.tgz)"
done >got
want='npm: command rwx, program rwx, link missing; npm: program rwx, link missing; pnpm: program rwx, link missing
pnpm: command rwx, program rwx, link stored; npm: program rwx, link missing; pnpm: program rwx, link missing
yarn: command rwx, program rw-, link stored; npm: program rw-, link missing; pnpm: program rw-, link missing'
cat got; [ "$(cat got)" = "$want" ]
