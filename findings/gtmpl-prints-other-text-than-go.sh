#!/usr/bin/env bash
# Tool: gtmpl 0.7.1 (crate), a port of Go's text/template.
# Expected: a --format template of Docker gives the text that Go gives, or fails.
# Seen: printf ignores "-" and "0" ("%-5d" pads on the left, "%05d" with blanks),
#   "%q" adds no quotes and "%%" prints two signs. A list prints as Rust debug
#   text. range visits a map in random order, Go in the order of the keys.
#   `eq .N 1 7` is false for 7, and 0x10 is 0. Nothing fails.
# Matters: a table is misaligned, and a test of several values is silently false.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q gtmpl@=0.7.1
cat >src/main.rs <<'RS'
use gtmpl::Value;
use std::collections::HashMap;
fn main() {
    let values = HashMap::from([
        ("N".to_string(), Value::from(7)),
        ("S".to_string(), Value::from("a b")),
        ("L".to_string(), Value::Array(vec![Value::from(1), Value::from(2)])),
    ]);
    for text in [
        r#"{{printf "%-5d|%05d|" .N .N}}"#,
        r#"{{printf "%q" .S}}"#,
        r#"{{printf "%d%%" .N}}"#,
        "{{eq .N 1 7}}",
        "{{0x10}}",
        "{{.L}}",
    ] {
        println!("{text} {}", gtmpl::template(text, Value::from(values.clone())).unwrap());
    }
}
RS
cargo build -q
got=$(target/debug/a)
want='{{printf "%-5d|%05d|" .N .N}}     7|    7|
{{printf "%q" .S}} a b
{{printf "%d%%" .N}} 7%%
{{eq .N 1 7}} false
{{0x10}} 0
{{.L}} [Number(Number { n: U(1) }), Number(Number { n: U(2) })]'
echo "$got"; [ "$got" = "$want" ]
