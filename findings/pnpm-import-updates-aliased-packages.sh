#!/usr/bin/env bash
# Tool: pnpm 12.21.0 (npm, 2026), `pnpm import`; bun 1.4.5 (npm), which imports the same file, for comparison.
# Expected: `pnpm import` makes pnpm-lock.yaml from the lock file of npm or Yarn, with the versions of that
#   file. For plain packages it does, also for those deep in the tree.
# Seen: an alias (a dependency under another name, "npm:escalade@^3.1.0") gets the newest version of its range, as
#   if there were no lock file. So do the aliases of dependencies, which no package.json of the project
#   shows. There is no message, and the exit status is 0. Output, installed versions, all of them old in
#   package-lock.json:
#     npm: debug 4.1.0, alias of escalade 3.1.0, alias below @isaacs/cliui 4.2.2
#     bun: debug 4.1.0, alias of escalade 3.1.0, alias below @isaacs/cliui 4.2.2
#     pnpm: debug 4.1.0, alias of escalade 3.2.0, alias below @isaacs/cliui 4.2.3
# Matters: a project that moves to pnpm with its versions locked installs other versions without a sign, and one
#   that was held back on purpose under an alias is lost. The same was seen with a yarn.lock of Yarn 1.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund --prefix tools pnpm@12.21.0 bun@1.4.5 >tools.log
export PATH=$PWD/tools/node_modules/.bin:$PATH
manifest() { # RANGE OVERRIDES: a package.json whose versions start with RANGE
    echo "{\"name\": \"a\", \"version\": \"1.0.0\", \"dependencies\": {\"debug\": \"${1}4.1.0\",
        \"other\": \"npm:escalade@${1}3.1.0\", \"@isaacs/cliui\": \"8.0.2\"}$2}"
}
mkdir locked; cd locked
manifest '' ', "overrides": {"string-width-cjs": "npm:string-width@4.2.2"}' >package.json
npm install --silent --no-audit --no-fund --package-lock-only
manifest '^' '' >package.json
npm install --silent --no-audit --no-fund --package-lock-only
cd ..
versions() { # NAME: the installed versions, as the program in the folder would load them
    node -e '
const { createRequire } = require("module"), fs = require("fs");
const version = folder => JSON.parse(fs.readFileSync(folder + "/package.json")).version;
const cliui = fs.realpathSync("node_modules/@isaacs/cliui");
const below = createRequire(cliui + "/").resolve("string-width-cjs/package.json");
console.log(`${process.argv[1]}: debug ${version("node_modules/debug")}, alias of escalade ${version("node_modules/other")}, ` +
    `alias below @isaacs/cliui ${JSON.parse(fs.readFileSync(below)).version}`);' "$1"
}
got=$(
    cp -r locked with-npm; cd with-npm
    npm ci --silent --no-audit --no-fund >npm.log; versions npm
    cd ..; cp -r locked with-bun; cd with-bun
    bun install >bun.log 2>&1; versions bun
    cd ..; cp -r locked with-pnpm; cd with-pnpm
    pnpm import >pnpm.log 2>&1; rm package-lock.json; pnpm install --frozen-lockfile >>pnpm.log 2>&1; versions pnpm
)
want='npm: debug 4.1.0, alias of escalade 3.1.0, alias below @isaacs/cliui 4.2.2
bun: debug 4.1.0, alias of escalade 3.1.0, alias below @isaacs/cliui 4.2.2
pnpm: debug 4.1.0, alias of escalade 3.2.0, alias below @isaacs/cliui 4.2.3'
echo "$got"; [ "$got" = "$want" ]
