#!/usr/bin/env bash
# Tool: brush-parser 0.4.0 (crate); bash for comparison.
# Expected: a parsed script prints as a script that does the same.
# Seen: `for x; do` loops over the arguments, but it prints as `for x in ;`, a
#   loop over nothing. A here-document before a pipe prints the pipe after the
#   terminator, which is a syntax error. `$(case x in a) ...)` is refused;
#   `$(case x in (a) ...)` and the backquoted form are read.
# Matters: a tool that rewrites RUN steps with it skips a loop silently.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q brush-parser@=0.4.0
cat >src/main.rs <<'RS'
fn main() {
    let text = std::env::args().nth(1).unwrap();
    let options = brush_parser::ParserOptions::default();
    match brush_parser::Parser::new(text.as_bytes(), &options).parse_program() {
        Ok(program) => println!("{program}"),
        Err(_) => println!("echo refused"),
    }
}
RS
cargo build -q
got=$(for text in 'for x; do echo $x; done' $'cat <<E | tr a b\na\nE' 'echo $(case x in x) echo y;; esac)' 'echo $(case x in (x) echo y;; esac)'; do
  printed=$(target/debug/a "$text")
  before=$(bash -c "$text" bash one two 2>&1 | tr '\n' ' ')
  after=$(bash -c "$printed" bash one two 2>/dev/null | tr '\n' ' ')
  echo "before: $before after: $after"
done)
want='before: one two  after: 
before: b  after: a 
before: y  after: refused 
before: y  after: y '
echo "$got"; [ "$got" = "$want" ]
