#!/usr/bin/env bash
# Tool: duration-str 0.21.0 (crate).
# Expected: 1.5s and 0.5h, which Go and Compose write, are read, and a number
#   without a unit after another part is an error or a smaller unit.
# Seen: fractions are errors. A number without a unit counts as seconds and is
#   added: 1h30 is one hour and 30 seconds, and 1s500 is 501 s.
# Matters: a timeout of "1h30" is half an hour short, without an error.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q duration-str@=0.21.0 --no-default-features
cat >src/main.rs <<'RS'
fn main() {
    for text in ["1h30m", "1h30", "1s500", "1.5s", "0.5h"] {
        match duration_str::parse(text) {
            Ok(value) => println!("{text} {value:?}"),
            Err(_) => println!("{text} error"),
        }
    }
}
RS
cargo build -q
got=$(target/debug/a)
want='1h30m 5400s
1h30 3630s
1s500 501s
1.5s error
0.5h error'
echo "$got"; [ "$got" = "$want" ]
