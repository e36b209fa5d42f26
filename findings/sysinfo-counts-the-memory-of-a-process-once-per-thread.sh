#!/usr/bin/env bash
# Tool: sysinfo 0.40.4 (crate, 2026), Linux 6.18.
# Expected: processes() has an entry for each process, so the sum of memory() over a tree is close to what its processes
#   hold (shared pages aside), and children() by parent() are processes.
# Seen: on Linux each thread is an entry too, with the memory of the whole process and with the process as its parent.
#   new_all() and the default of ProcessRefreshKind list them; without_tasks() does not. Output for a program with eight
#   more threads:
#     new_all(): 9 entries, 9 times the memory
#     without_tasks(): 1 entry, 1 times the memory
# Matters: a monitor that adds up the tree of a build shows a linker or a compiler with many threads with several times
#   its memory, and stops jobs for a limit that they are far below.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q sysinfo@=0.40.4 --no-default-features --features system
cat >program.txt <<'PY'
import sys
import threading

end = threading.Event()
for _ in range(8):
    threading.Thread(target=end.wait).start()
print("ready", flush=True)
sys.stdin.read()
end.set()
PY
cat >src/main.rs <<'RS'
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

fn show(name: &str, system: &System, pid: Pid) {
    let memory: Vec<u64> = (system.processes().values())
        .filter(|process| process.pid() == pid || process.parent() == Some(pid))
        .map(|process| process.memory())
        .collect();
    let of_process = system.process(pid).unwrap().memory() as f64;
    let entries = if memory.len() == 1 { "entry" } else { "entries" };
    let sum = memory.iter().sum::<u64>() as f64;
    println!("{name}: {} {entries}, {:.0} times the memory", memory.len(), sum / of_process);
}

fn main() {
    let mut child = Command::new("python3")
        .arg("program.txt")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    let pid = Pid::from_u32(child.id());
    show("new_all()", &System::new_all().unwrap(), pid);
    let mut system = System::new().unwrap();
    let kind = ProcessRefreshKind::everything().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
    show("without_tasks()", &system, pid);
    drop(child.stdin.take());
    child.wait().unwrap();
}
RS
CARGO_BUILD_JOBS=1 nice -n 15 cargo build -q
got=$(target/debug/a)
want='new_all(): 9 entries, 9 times the memory
without_tasks(): 1 entry, 1 times the memory'
echo "$got"; [ "$got" = "$want" ]
