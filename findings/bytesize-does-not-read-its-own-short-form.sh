#!/usr/bin/env bash
# Tool: bytesize 2.7.0 (crate).
# Expected: what ByteSize prints, ByteSize parses to the same size up to rounding.
# Seen: iec_short prints 1 KiB as "1.0K" and 5 GiB as "5.0G", but the parser
#   reads K and G as powers of 1000: 1000 and 5000000000 bytes. The plain form
#   ("1.0 KiB") is read back.
# Matters: a limit that is written to a file in the short form shrinks by 2.4 %
#   per step of 1024, 7 % for gigabytes.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q bytesize@=2.7.0
cat >src/main.rs <<'RS'
use bytesize::ByteSize;
fn main() {
    for size in [ByteSize::kib(1), ByteSize::gib(5)] {
        for text in [size.to_string(), size.display().iec_short().to_string()] {
            println!("{} -> {text} -> {}", size.as_u64(), text.parse::<ByteSize>().unwrap().as_u64());
        }
    }
}
RS
got=$(cargo run -q)
want='1024 -> 1.0 KiB -> 1024
1024 -> 1.0K -> 1000
5368709120 -> 5.0 GiB -> 5368709120
5368709120 -> 5.0G -> 5000000000'
echo "$got"; [ "$got" = "$want" ]
