//! The samples of the profiler add up to the processor time, also where it cannot unwind.

#![cfg(all(feature = "build", target_os = "linux"))]

use buildscope_bench::sampling::{NOT_UNWOUND, Profiler, processor_time, samples_per_second};
use std::hint::black_box;
use std::time::Duration;

/// What a profile says about two seconds of processor time, in seconds.
struct Seen {
    used: f64,
    /// The time of all samples.
    all: f64,
    /// The time of the samples that have the frame.
    of_frame: f64,
}

fn profiled(frame: &str, work: impl Fn()) -> Seen {
    let (profiler, start) = (Profiler::start().unwrap(), processor_time());
    while processor_time() - start < Duration::from_secs(2) {
        work();
    }
    let used = (processor_time() - start).as_secs_f64();
    let report = profiler.finish().unwrap();
    let seconds = |samples: isize| samples as f64 / f64::from(samples_per_second());
    let has_frame = |frames: &pprof::Frames| frames.frames.iter().flatten().any(|symbol| symbol.name().contains(frame));
    Seen {
        used,
        all: seconds(report.data.values().sum()),
        of_frame: seconds(report.data.iter().filter(|(frames, _)| has_frame(frames)).map(|(_, samples)| samples).sum()),
    }
}

fn busy() {
    (0..10_000).map(black_box).for_each(|_| ());
}

/// One test, alone in its program: the profiler counts the time of all threads.
#[test]
fn the_samples_add_up_to_the_time_used() {
    let (from, mut to) = (vec![1_u8; 64 << 20], vec![0_u8; 64 << 20]);
    let to = std::cell::RefCell::new(&mut to);
    let threads = || {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..500).for_each(|_| busy()));
            }
        });
    };
    // The frame, its least part of the time, the work. memcpy is in libc.
    let cases: [(&str, f64, &dyn Fn()); 3] = [
        ("sampling::busy", 0.9, &busy),
        ("sampling::busy", 0.5, &threads),
        (NOT_UNWOUND, 0.5, &|| black_box(&mut to.borrow_mut()[..]).copy_from_slice(black_box(&from))),
    ];
    for (frame, part, work) in cases {
        // The kernel of a busy machine takes some samples late, and others not at all.
        let mut seen = Vec::new();
        let is_right = |_| {
            let Seen { used, all, of_frame } = profiled(frame, work);
            assert!((all / used - 1.0).abs() < 0.05, "{frame}: samples of {all:.3} s in {used:.3} s");
            seen.push(of_frame / used);
            of_frame / used > part
        };
        assert!((0..4).any(is_right), "{frame}: parts of {seen:.3?}, not {part}");
    }
}
