#!/usr/bin/env bash
# Tool: packageurl-python 0.17.6 (PyPI), packageurl-js 2.0.1 (npm), packageurl
#   0.7.1 (crate).
# Expected: a package URL has one canonical text, so lists of packages from
#   different scanners can be joined by it.
# Seen: the three write three texts. A plus in a version (each Debian security
#   update has one) is %2B in Python and Rust and + in JavaScript. A slash in a
#   qualifier is / in Python and %2F in the others, a colon is %3A in JavaScript
#   only. JavaScript also reads the plus of git+https as a blank.
# Matters: the join finds no partner for security updates and for images with a
#   repository_url, and reports them as missing.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps packageurl-python==0.17.6
npm init -y >/dev/null
npm install --silent --ignore-scripts packageurl-js@2.0.1
cargo init -q --name a --vcs none
cargo add -q packageurl@=0.7.1
cat >src/main.rs <<'RS'
fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", line.unwrap().parse::<packageurl::PackageUrl>().unwrap());
    }
}
RS
cat >in <<'TXT'
pkg:deb/debian/curl@7.88.1-10+deb12u14
pkg:oci/app@1?repository_url=registry.example.com:5000/team/app
pkg:generic/app@1?vcs_url=git+https://git.example.com/app
TXT
cargo build -q
v/bin/python -c 'import sys, packageurl
for line in sys.stdin: print(packageurl.PackageURL.from_string(line.strip()).to_string())' <in >python
node -e "const { PackageURL } = require('packageurl-js');
for (const line of require('fs').readFileSync(0, 'utf8').trim().split('\n')) console.log(PackageURL.fromString(line).toString());" <in >js
target/debug/a <in >rust
cat >want <<'TXT'
pkg:deb/debian/curl@7.88.1-10%2Bdeb12u14
pkg:oci/app@1?repository_url=registry.example.com:5000/team/app
pkg:generic/app@1?vcs_url=git%2Bhttps://git.example.com/app
pkg:deb/debian/curl@7.88.1-10+deb12u14
pkg:oci/app@1?repository_url=registry.example.com%3A5000%2Fteam%2Fapp
pkg:generic/app@1?vcs_url=git%20https%3A%2F%2Fgit.example.com%2Fapp
pkg:deb/debian/curl@7.88.1-10%2Bdeb12u14
pkg:oci/app@1?repository_url=registry.example.com:5000%2Fteam%2Fapp
pkg:generic/app@1?vcs_url=git%2Bhttps:%2F%2Fgit.example.com%2Fapp
TXT
cat python js rust >got
cat got; cmp got want
