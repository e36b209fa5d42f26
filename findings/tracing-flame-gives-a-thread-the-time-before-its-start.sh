#!/usr/bin/env bash
# Tool: tracing-flame 0.2.0 (crate) with tracing 0.1.41 and tracing-subscriber 0.3.20.
# Expected: the rows of a thread add up to the time from its start to its end.
# Seen: the first row of a thread counts from the start of the program, and what follows its last span is missing. A
#   thread that starts after 600 ms, and has 100 ms in a span and 200 ms after it, has 700 ms in two rows. Output:
#     worker: 600 ms outside of spans, 100 ms in the span
# Matters: each thread that a program starts later, as one per build step, adds the age of the program to the graph.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q tracing@=0.1.41 tracing-flame@=0.2.0
cargo add -q tracing-subscriber@=0.3.20 --no-default-features --features registry,std
cat >src/main.rs <<'RS'
use std::{thread, time::Duration};
use tracing_subscriber::prelude::*;

fn wait(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

fn main() {
    let (layer, guard) = tracing_flame::FlameLayer::with_file("rows").unwrap();
    tracing_subscriber::registry().with(layer).init();
    tracing::info_span!("prepare").in_scope(|| wait(600));
    let worker = thread::Builder::new().name("worker".into());
    let worker = worker.spawn(|| {
        tracing::info_span!("compile").in_scope(|| wait(100));
        wait(200);
    });
    worker.unwrap().join().unwrap();
    drop(guard);
}
RS
CARGO_BUILD_JOBS=1 nice -n 15 cargo build -q
target/debug/a
got=$(awk '/-worker / { outside = $NF } /-worker; / { span = $NF }
  function about(ns, ms) { return ns >= ms * 1e6 && ns < ms * 1e6 + 95e6 ? ms : ns / 1e6 }
  END { printf "worker: %d ms outside of spans, %d ms in the span\n", about(outside, 600), about(span, 100) }' rows)
want='worker: 600 ms outside of spans, 100 ms in the span'
echo "$got"; [ "$got" = "$want" ]
