#!/usr/bin/env bash
# Tool: parse-dockerfile 0.1.9 (crate).
# Expected: a here-document is found wherever the shell would find it, as in
#   `RUN cat <<EOF >/file`, `RUN python3 <<EOF` or `RUN <<A cat && <<B cat`.
# Seen: only `RUN <<EOF`, with the marker as the first word, is one. Otherwise the
#   body is read as instructions and the first line that is none is an error. A
#   second marker in the line is not seen. COPY takes several.
# Matters: `RUN cat <<EOF >/file` is the usual way to write a configuration file,
#   and the message points at the file's text.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q parse-dockerfile@=0.1.9
cat >src/main.rs <<'RS'
fn main() {
    for text in [
        "FROM a\nRUN <<EOF\nkey: value\nEOF\n",
        "FROM a\nRUN cat <<EOF >/file\nkey: value\nEOF\n",
        "FROM a\nRUN <<A cat && cat <<B\n1\nA\n2\nB\n",
        "FROM a\nRUN cat <<EOF >/file\nFROM b\nRUN c\nEOF\n",
        "FROM a\nCOPY <<A <<B /\n1\nA\n2\nB\n",
    ] {
        match parse_dockerfile::parse(text) {
            Ok(file) => println!("{} instructions, {} stages", file.instructions.len(), file.stages().len()),
            Err(error) => println!("{error}"),
        }
    }
}
RS
cargo build -q
got=$(target/debug/a)
want="2 instructions, 1 stages
unknown instruction 'key:' at line 3 column 1
unknown instruction '2' at line 5 column 1
unknown instruction 'EOF' at line 5 column 1
2 instructions, 1 stages"
echo "$got"; [ "$got" = "$want" ]
