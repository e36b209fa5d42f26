//! Steps with known resource usage, and the times at which their lines arrive.

use super::{Entry, RUNTIMES, World, rootfs, step};
use buildscope_record::{Nanos, Probe, Resources};
use buildscope_sandbox::{Limits, LogLine, StepSpec};
use buildscope_testing::Need;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The tests of I/O need a disk: files in memory cause no I/O.
const DISK: &[Need] = &[Need::TemporaryFilesOnDisk];
const PRESSURE: &[Need] = &[Need::Cgroups, Need::Pressure];
const PRESSURE_ON_DISK: &[Need] = &[Need::Cgroups, Need::Pressure, Need::TemporaryFilesOnDisk];

pub(crate) const TRIALS: &[Entry] = &[
    ("bytes_read_and_written_are_counted", bytes, DISK),
    ("faults_and_processes_are_counted", counts, &[]),
    ("waiting_for_a_processor_is_cpu_pressure", pressure, PRESSURE),
    ("waits_for_memory_and_disk_are_pressure", hunger, PRESSURE_ON_DISK),
    ("steps_of_oci_runtimes_are_measured", of_runtimes, RUNTIMES),
    ("lines_arrive_while_the_step_runs", live, &[]),
];

const MIB: u64 = 1 << 20;

fn used(world: &World, root: &Path, script: &str) -> Resources {
    let ran = world.run(step(root, &["sh", "-c", script])).unwrap();
    assert!(ran.exit.status.success(), "{script}: {}", ran.output);
    ran.exit.resources
}

/// Eight mebibytes in each direction. The bounds leave room for the disk's metadata and for read-ahead of a program's pages.
fn bytes(world: &World) {
    let root = rootfs();
    let written = used(world, root.path(), "dd if=/dev/zero of=/written bs=1048576 count=8 conv=fsync 2> /dev/null");
    assert!((8 * MIB..10 * MIB).contains(&written.written.0), "{written:?}");
    let path = root.path().join("read");
    let mut file = File::create(&path).unwrap();
    file.write_all(&vec![1; 8 << 20]).unwrap();
    file.sync_all().unwrap();
    // Drops the file from the page cache, so that it is read from the disk.
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    drop(file);
    let read = used(world, root.path(), "cat /read > /dev/null");
    assert!((8 * MIB..12 * MIB).contains(&read.read.0), "{read:?}");
    assert!(read.written.0 < MIB, "{read:?}");
    let again = used(world, root.path(), "cat /read > /dev/null");
    assert!(again.read.0 < MIB, "cached data was read again: {again:?}");
}

fn counts(world: &World) {
    let root = rootfs();
    // The shell and two children; no other process.
    let three = used(world, root.path(), "(exit 0) & wait; (exit 0) & wait; exit 0");
    assert_eq!(three.processes, Some(3));
    // Each page of a buffer of 32 MiB faults once, unless pages are huge.
    let pages = 32 * MIB / rustix::param::page_size() as u64;
    let touched = used(world, root.path(), "dd if=/dev/zero of=/dev/null bs=33554432 count=1 2> /dev/null");
    let huge = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    assert!(huge.contains("[always]") || touched.minor_faults >= pages, "{touched:?}");
    assert!(touched.minor_faults < 2 * pages && touched.peak_memory.0 >= 32 * MIB, "{touched:?}");
    assert!(touched.peak_memory.0 < 48 * MIB, "{touched:?}");
}

/// A file four times as large as the step's memory is read from the disk. The reader waits for the disk and, when the memory is
/// full, for the kernel to reclaim some (linux/Documentation/accounting/psi.rst).
fn hunger(world: &World) {
    let root = rootfs();
    let path = root.path().join("large");
    let mut file = File::create(&path).unwrap();
    (0..64).for_each(|_| file.write_all(&vec![1; 1 << 20]).unwrap());
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let limits = Limits { memory: Some(16 * MIB), ..Limits::default() };
    let start = Instant::now();
    let script = "cat /large > /dev/null; cat /large > /dev/null; cat /large > /dev/null";
    let ran = world.run(StepSpec { limits, ..step(root.path(), &["sh", "-c", script]) }).unwrap();
    let lasted = Nanos::from(start.elapsed());
    assert!(ran.exit.status.success(), "{}", ran.output);
    let used = ran.exit.resources;
    // The file does not fit into the page cache, so it is read again.
    assert!(used.read.0 >= 2 * 64 * MIB, "{used:?}");
    for (what, waited) in [("memory", used.memory_pressure), ("the disk", used.io_pressure)] {
        assert!(waited > Nanos::ZERO && waited <= lasted, "{what}: {waited:?} of {lasted:?}");
    }
}

/// With three processes on one processor, at least one is always waiting.
fn pressure(world: &World) {
    let root = rootfs();
    let busy = "i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done";
    let script = format!("for n in 1 2 3; do taskset 1 sh -c '{busy}' & done; wait");
    let start = Instant::now();
    let used = used(world, root.path(), &script);
    let lasted = start.elapsed().as_secs_f64();
    let (cpu, waited) = ((used.cpu_user + used.cpu_system).as_secs_f64(), used.cpu_pressure.as_secs_f64());
    // Some process waits until two of the three are done, which is at least two thirds of the work, independent of other load.
    assert!(waited > 0.5 * cpu && waited <= lasted, "{waited} s of {lasted} s, {cpu} s of CPU time");
}

/// The usage of a step does not contain the runtime's own work, except for its peak memory.
fn of_runtimes(world: &World) {
    for runtime in super::runtimes() {
        let root = rootfs();
        let used = |script: &str| {
            let (exit, output) = world.run_by(&runtime, step(root.path(), &["sh", "-c", script]));
            let exit = exit.unwrap();
            assert!(exit.status.success(), "{}: {script}: {output}", runtime.program.display());
            exit.resources
        };
        let touched = used("dd if=/dev/zero of=/dev/null bs=67108864 count=1 2> /dev/null");
        assert!(touched.peak_memory.0 >= 64 * MIB && touched.peak_memory.0 < 96 * MIB, "{touched:?}");
        let busy = used("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done");
        assert!((busy.cpu_user + busy.cpu_system).as_secs_f64() > 0.05, "{busy:?}");
        if rustix::fs::statfs(root.path()).unwrap().f_type != 0x0102_1994 {
            let written = used("dd if=/dev/zero of=/written bs=1048576 count=8 conv=fsync 2> /dev/null");
            assert!((8 * MIB..10 * MIB).contains(&written.written.0), "{written:?}");
        }
    }
}

/// The step waits for a file that is written when its first line arrives. If lines were held back, it would wait forever.
fn live(world: &World) {
    let root = rootfs();
    let script =
        "echo ready; while test ! -e /go; do sleep 0.01; done; echo went >&2; for i in 1 2 3; do echo $i; done";
    let mut lines: Vec<(String, Instant)> = Vec::new();
    let go = root.path().join("go");
    let log = |line: LogLine<'_>| {
        let text = String::from_utf8_lossy(line.text).into_owned();
        if text == "ready" {
            std::fs::write(&go, "").unwrap();
        }
        lines.push((text, line.at));
    };
    let limits = Limits { timeout: Some(Duration::from_secs(60)), ..Limits::default() };
    let spec = StepSpec { limits, ..step(root.path(), &["sh", "-c", script]) };
    let start = Instant::now();
    let probe = Probe::disabled();
    let run = world.zygote.run(spec, log, CancellationToken::new(), &probe);
    assert!(world.runtime.block_on(run).unwrap().status.success());
    let texts: Vec<&str> = lines.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(texts[0], "ready");
    let numbers: Vec<&str> = texts.into_iter().filter(|text| text.len() == 1).collect();
    assert_eq!(numbers, ["1", "2", "3"]);
    assert!(lines.is_sorted_by_key(|(_, at)| *at) && lines.iter().all(|(_, at)| *at >= start));
}
