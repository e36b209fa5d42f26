#!/usr/bin/env bash
# Tool: strip-ansi-escapes 0.2.1 (crate).
# Expected: only escape sequences are removed.
# Seen: each control character except the newline goes too. "a<tab>b" becomes
#   "ab", and the states of a progress line, which carriage returns separate, are
#   joined: "10%<CR>20%" becomes "10%20%".
# Matters: tables in a build log lose their columns ("FAILpkg0.2s" from go test),
#   and a Makefile or patch that a step prints is another text.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q strip-ansi-escapes@=0.2.1
cat >src/main.rs <<'RS'
fn main() {
    for text in ["\x1b[31mFAIL\x1b[0m\tpkg\t0.2s", "10%\r20%\r30%\n", "a\r\nb\x0cc"] {
        println!("{:?} {:?}", text, strip_ansi_escapes::strip_str(text));
    }
}
RS
cargo build -q
got=$(target/debug/a)
want='"\u{1b}[31mFAIL\u{1b}[0m\tpkg\t0.2s" "FAILpkg0.2s"
"10%\r20%\r30%\n" "10%20%30%\n"
"a\r\nb\u{c}c" "a\nbc"'
echo "$got"; [ "$got" = "$want" ]
