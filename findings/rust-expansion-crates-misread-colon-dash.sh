#!/usr/bin/env bash
# Tool: shellexpand 3.1.2 and subst 0.3.8 (crates); bash for comparison.
# Expected: ${NAME:-default} is the default when NAME is unset or empty, as in
#   Dockerfiles, Compose files and shells, or it is an error.
# Seen: shellexpand keeps the empty value, so `:-` works like `-`, and leaves
#   ${NAME-default} and ${NAME#pattern} in the text as they are. A reference in
#   the default stays unexpanded. subst has ${NAME:default} and takes the dash
#   for a part of the default: an unset TAG gives "-3.20"; ${TAG:?message} gives
#   "?message"; only ${NAME#pattern} is an error there.
# Matters: `FROM alpine:${TAG:-3.20}` becomes "alpine:" or "alpine:-3.20".
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q shellexpand@=3.1.2 --no-default-features --features base-0
cargo add -q subst@=0.3.8
cat >src/main.rs <<'RS'
use std::collections::HashMap;
fn main() {
    let values = HashMap::from([("EMPTY", ""), ("VERSION", "v3.20")]);
    for text in [
        "${EMPTY:-3.20}",
        "${UNSET:-3.20}",
        "${UNSET:-${VERSION}}",
        "${VERSION#v}",
        "${UNSET:?message}",
    ] {
        let read = |name: &str| values.get(name).copied();
        let first = shellexpand::env_with_context_no_errors(text, read);
        let second = subst::substitute(text, &values);
        println!("{text} '{first}' '{}'", second.unwrap_or("error".to_string()));
    }
}
RS
cargo build -q
got=$(target/debug/a)
want="\${EMPTY:-3.20} '' ''
\${UNSET:-3.20} '3.20' '-3.20'
\${UNSET:-\${VERSION}} '\${VERSION}' '-v3.20'
\${VERSION#v} '\${VERSION#v}' 'error'
\${UNSET:?message} '\${UNSET:?message}' '?message'"
echo "$got"; [ "$got" = "$want" ]
[ "$(EMPTY='' bash -c 'echo "${EMPTY:-3.20} ${UNSET:-3.20}"')" = '3.20 3.20' ]
