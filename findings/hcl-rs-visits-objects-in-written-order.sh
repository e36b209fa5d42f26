#!/usr/bin/env bash
# Tool: hcl-rs 0.20.0 (crate), evaluating expressions of a bake file.
# Expected: the HCL specification: `for` visits an object sorted by key, numbers
#   have arbitrary precision, null in a template is an error, and both sides of a
#   conditional get one type.
# Seen: `for` visits the keys as they are written. 0.1 + 0.2 is
#   0.30000000000000004. "x${null}y" is "xnully". `true ? 1 : "b"` is the number
#   1, not the text.
# Matters: lists of tags and platforms come out in another order than from
#   buildx, and a variable without a value becomes the tag "null".
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q hcl-rs@=0.20.0
cat >src/main.rs <<'RS'
use hcl::eval::{Context, Evaluate};
fn main() {
    let mut context = Context::new();
    context.declare_var("none", hcl::Value::Null);
    for text in [
        "[for k, v in {b = 1, a = 2}: k]",
        "0.1 + 0.2",
        r#""x${none}y""#,
        r#"true ? 1 : "b""#,
    ] {
        let expression: hcl::Expression = text.parse().unwrap();
        println!("{text} -> {:?}", expression.evaluate(&context).unwrap());
    }
}
RS
cargo build -q
got=$(target/debug/a)
want='[for k, v in {b = 1, a = 2}: k] -> Array([String("b"), String("a")])
0.1 + 0.2 -> Number(Number(0.30000000000000004))
"x${none}y" -> String("xnully")
true ? 1 : "b" -> Number(Number(1))'
echo "$got"; [ "$got" = "$want" ]
