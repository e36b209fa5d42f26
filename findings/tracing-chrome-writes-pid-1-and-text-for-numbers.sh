#!/usr/bin/env bash
# Tool: tracing-chrome 0.7.2 (crate).
# Expected: the Chrome trace has the process id, so traces of several processes
#   can be joined, and a field bytes = 7 is the number 7 in args.
# Seen: each event has pid 1, in each process. Times count from the creation of
#   the layer, not from a common clock. All args are texts: "7", "true", and a
#   text has its quotes twice ("\"a\"").
# Matters: two joined traces lie on one another as one process, and a viewer's
#   query cannot add up bytes.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q tracing-chrome@=0.7.2 tracing@=0.1.44
cargo add -q tracing-subscriber@=0.3.22 --no-default-features --features registry
cat >src/main.rs <<'RS'
use tracing_subscriber::prelude::*;
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let (layer, guard) = tracing_chrome::ChromeLayerBuilder::new().file(path).include_args(true).build();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::info_span!("step", bytes = 7, done = true, file = "a").in_scope(|| ());
    });
    drop(guard);
}
RS
cargo build -q
for run in 1 2; do target/debug/a $run.json; done
got=$(python3 - <<'PY'
import json
for run in (1, 2):
    event = next(e for e in json.load(open(f"{run}.json")) if e["ph"] == "B")
    args = {name: event["args"][name] for name in ("bytes", "done", "file")}
    print("pid", event["pid"], json.dumps(args), "early" if event["ts"] < 60e6 else "clock")
PY
)
want='pid 1 {"bytes": "7", "done": "true", "file": "\"a\""} early
pid 1 {"bytes": "7", "done": "true", "file": "\"a\""} early'
echo "$got"; [ "$got" = "$want" ]
