//! What is said of real builds whose timing is known by construction.

use crate::world::World;
use buildscope_record::{Nanos, Record, Wait, WaitKind};
use buildscope_reports::{Explanation, explain};
use buildscope_testing::{in_time, test, undisturbed};

/// The drag of the step with this text.
fn drag(explanation: &Explanation, text: &str) -> f64 {
    explanation.steps.iter().find(|step| step.text.contains(text)).unwrap().drag.as_secs_f64()
}

/// Whether a drag is the expected one. The tolerance is for a machine that others use.
fn near(drag: f64, expected: f64) -> bool {
    (expected * 0.85..expected * 1.05 + 0.35).contains(&drag)
}

/// Whether the drag of a step that sleeps for that time is at least this time, and at most what the step took without its waits. A busy
/// machine makes both longer.
fn is_its_time(record: &Record, explanation: &Explanation, text: &str, seconds: f64) -> bool {
    let step = record.steps.iter().find(|step| step.text.contains(text)).unwrap();
    let waits = record.waits.iter().filter(|wait| wait.step == step.id && wait.kind == WaitKind::Lock);
    let waited: Nanos = waits.map(|wait| wait.end - wait.start).sum();
    let took = step.end.unwrap() - step.start.unwrap() - waited;
    (seconds * 0.85..took.as_secs_f64() * 1.05 + 0.35).contains(&drag(explanation, text))
}

#[test]
fn steps_that_share_a_lock_have_the_drag_of_their_turn() {
    undisturbed(|factor| {
        let times = [0.4, 0.5, 0.6].map(|seconds| seconds * f64::from(factor));
        let stage = |(number, seconds): (usize, &f64)| {
            format!(
                "FROM busybox AS s{number}\nRUN --mount=type=cache,id=lk,sharing=locked,target=/c sleep {seconds}; touch /l{number}\n"
            )
        };
        let stages: String = times.iter().enumerate().map(stage).collect();
        let last = "FROM busybox\nCOPY --from=s0 /l0 /\nCOPY --from=s1 /l1 /\nCOPY --from=s2 /l2 /\n";
        let record = World::new(&(stages + last)).build(&["--no-cache", "--jobs", "3"]).record();
        // The second and the third name the step that had the lock.
        let is_long = |wait: &&Wait| wait.kind == WaitKind::Lock && wait.end - wait.start > Nanos(100_000_000);
        let waits: Vec<_> = record.waits.iter().filter(is_long).collect();
        assert!(waits.iter().all(|wait| wait.on.is_some()), "{waits:?}");
        in_time(waits.len() == 2, &record.waits)?;
        let explanation = explain(&record);
        let bounds = explanation.bounds;
        assert!(bounds.least <= bounds.achieved, "{bounds:?}");
        // The waits for processors, which are left out, are an estimate.
        in_time(bounds.least.as_secs_f64() > 0.9 * times.iter().sum::<f64>(), bounds)?;
        times.iter().try_for_each(|seconds| {
            let text = format!("sleep {seconds};");
            in_time(is_its_time(&record, &explanation, &text, *seconds), (seconds, drag(&explanation, &text)))
        })
    });
}

#[test]
fn steps_that_lead_to_a_failure_have_drag() {
    undisturbed(|factor| {
        let [first, second] = [0.4, 0.3].map(|seconds| seconds * f64::from(factor));
        let world = World::new(&format!(
            "FROM busybox AS a\nRUN sleep {first}\nRUN sleep {second}; echo no space left here >&2; exit 7\n\
             FROM busybox AS b\nRUN sleep 1000\nFROM busybox\nCOPY --from=a / /a\nCOPY --from=b / /b\n"
        ));
        let record: Record = world.build(&["--no-cache", "--jobs", "2"]).read();
        let explanation = explain(&record);
        assert!(explanation.answer.contains("failed with exit code 7"), "{}", explanation.answer);
        let path = explanation.path.iter().map(|leg| explanation.steps[leg.step.index()].text.as_str());
        let path: Vec<_> = path.collect();
        assert!(path.last().is_some_and(|last| last.contains("exit 7")), "{path:?}");
        let texts = [format!("sleep {first}"), format!("sleep {second};"), "sleep 1000".into()];
        let is_its_time = |text, seconds| is_its_time(&record, &explanation, text, seconds);
        let are_right = is_its_time(&texts[0], first) && is_its_time(&texts[1], second);
        // The last one only shared processors with the others.
        let drags = texts.map(|text| drag(&explanation, &text));
        in_time(are_right && drags[2] < 0.1 + record.wall.as_secs_f64() * 0.05, drags)
    });
}

/// With two slots, the longest step is not on the path that was observed, but it is what keeps a slot busy.
#[test]
fn a_step_that_keeps_a_slot_has_drag() {
    // Other programs may delay a step, and then another one keeps the slots busy.
    undisturbed(|factor| {
        let times = [0.3, 0.9, 0.5, 0.4].map(|seconds| seconds * f64::from(factor));
        let stage = |(number, seconds): (usize, &f64)| {
            format!("FROM busybox AS s{number}\nRUN sleep {seconds}; touch /l{number}\n")
        };
        let stages: String = times.iter().enumerate().map(stage).collect();
        let copies: String = (0..4).map(|number| format!("COPY --from=s{number} /l{number} /\n")).collect();
        let world = World::new(&format!("{stages}FROM busybox\n{copies}"));
        let explanation = explain(&world.build(&["--no-cache", "--jobs", "2"]).record());
        assert!(explanation.bounds.least <= explanation.bounds.achieved);
        let drag = drag(&explanation, &format!("sleep {};", times[1]));
        in_time(near(drag, 0.5 * f64::from(factor)), drag)
    });
}

#[test]
fn the_load_of_other_programs_is_recorded() {
    let world = World::new("FROM busybox\nRUN sleep 1\n");
    let mut spin = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    let built = world.build(&["--no-cache"]);
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
