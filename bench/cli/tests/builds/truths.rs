//! What is said of real builds whose timing is known by construction.

use crate::world::World;
use buildscope_record::{Nanos, Record, WaitKind};
use buildscope_reports::{Explanation, explain};
use buildscope_testing::test;

/// The drag of the step with this text.
fn drag(explanation: &Explanation, text: &str) -> f64 {
    explanation.steps.iter().find(|step| step.text.contains(text)).unwrap().drag.as_secs_f64()
}

/// Whether a drag is the expected one. The tolerance is for a machine that others use.
fn near(drag: f64, expected: f64) -> bool {
    (expected * 0.85..expected + 0.35).contains(&drag)
}

#[test]
fn steps_that_share_a_lock_have_the_drag_of_their_turn() {
    let stage = |number: u32, seconds: f64| {
        format!(
            "FROM busybox AS s{number}\nRUN --mount=type=cache,id=lk,sharing=locked,target=/c sleep {seconds}; touch /l{number}\n"
        )
    };
    let last = "FROM busybox\nCOPY --from=s0 /l0 /\nCOPY --from=s1 /l1 /\nCOPY --from=s2 /l2 /\n";
    let world = World::new(&format!("{}{}{}{last}", stage(0, 0.4), stage(1, 0.5), stage(2, 0.6)));
    let record = world.build(&["--no-cache"]).record();
    // The second and the third name the step that had the lock.
    let waits: Vec<_> = record
        .waits
        .iter()
        .filter(|wait| wait.kind == WaitKind::Lock && wait.end - wait.start > Nanos(100_000_000))
        .collect();
    assert_eq!(waits.len(), 2, "{waits:?}");
    assert!(waits.iter().all(|wait| wait.on.is_some()), "{waits:?}");
    let explanation = explain(&record);
    for (text, seconds) in [("sleep 0.4", 0.4), ("sleep 0.5", 0.5), ("sleep 0.6", 0.6)] {
        let drag = drag(&explanation, text);
        assert!(near(drag, seconds), "{text}: {drag}");
    }
    let bounds = explanation.bounds;
    assert!(bounds.least >= Nanos(1_500_000_000) && bounds.least <= bounds.achieved, "{bounds:?}");
}

#[test]
fn steps_that_lead_to_a_failure_have_drag() {
    let world = World::new(
        "FROM busybox AS a\nRUN sleep 0.4\nRUN sleep 0.3; echo no space left here >&2; exit 7\nFROM busybox AS b\nRUN sleep 3\nFROM busybox\nCOPY --from=a / /a\nCOPY --from=b / /b\n",
    );
    let record: Record = world.build(&["--no-cache"]).read();
    let explanation = explain(&record);
    assert!(near(drag(&explanation, "sleep 0.4"), 0.4), "{:?}", explanation.steps);
    assert!(near(drag(&explanation, "sleep 0.3"), 0.3), "{:?}", explanation.steps);
    // It only shared processors with the others.
    assert!(drag(&explanation, "sleep 3") < 0.1, "{:?}", explanation.steps);
    assert!(explanation.answer.contains("failed with exit code 7"), "{}", explanation.answer);
    let path: Vec<_> = explanation.path.iter().map(|leg| explanation.steps[leg.step.index()].text.as_str()).collect();
    assert!(path.last().is_some_and(|last| last.contains("exit 7")), "{path:?}");
}

/// With two slots, the longest step is not on the path that was observed, but it is what keeps a slot busy.
#[test]
fn a_step_that_keeps_a_slot_has_drag() {
    let stage =
        |number: u32, seconds: f64| format!("FROM busybox AS s{number}\nRUN sleep {seconds}; touch /l{number}\n");
    let stages: String =
        [0.3, 0.9, 0.5, 0.4].iter().enumerate().map(|(number, seconds)| stage(number as u32, *seconds)).collect();
    let copies: String = (0..4).map(|number| format!("COPY --from=s{number} /l{number} /\n")).collect();
    let world = World::new(&format!("{stages}FROM busybox\n{copies}"));
    // Other programs may delay a step, and then another one keeps the slots busy. A wrong model is wrong each time.
    let mut seen = Vec::new();
    let is_right = |_| {
        let explanation = explain(&world.build(&["--no-cache", "--jobs", "2"]).record());
        assert!(explanation.bounds.least <= explanation.bounds.achieved);
        seen.push(drag(&explanation, "sleep 0.9"));
        seen.last().is_some_and(|&drag| near(drag, 0.5))
    };
    assert!((0..6).any(is_right), "{seen:?}");
}

#[test]
fn the_load_of_other_programs_is_recorded() {
    let world = World::new("FROM busybox\nRUN sleep 1\n");
    let spin = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    let built = world.build(&["--no-cache"]);
    let mut spin = spin;
    spin.kill().unwrap();
    spin.wait().unwrap();
    let record = built.record();
    let load = record.load.unwrap();
    assert!(load.processors >= 1 && load.others >= Nanos(100_000_000), "{load:?}");
    assert!(load.others.0 <= record.wall.0 * u64::from(load.processors) * 11 / 10, "{load:?} in {}", record.wall);
    let explanation = explain(&record);
    let share = explanation.others.map_or(0.0, |others| others.share);
    assert!(share > 0.05 && share <= 1.0, "{share}");
}
