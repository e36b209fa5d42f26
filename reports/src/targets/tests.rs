//! Two targets on one base, whose numbers are computed by hand.

use super::*;
use crate::synthetic::{Synthetic, ms};
use crate::{explain, record_of};
use buildscope_record::{Phase, WaitKind};

/// A base that takes 1 s; `api`, which then takes 2 s and is delivered at 3.1 s; `web`, which then takes 4 s and is delivered at 5.2 s,
/// the end of the build.
fn bake() -> Record {
    let mut build = Synthetic::default();
    let (base_stage, api_stage, web_stage) = (build.stage("base"), build.stage("api build"), build.stage("web build"));
    let base = build.step(base_stage, "RUN base", 0..1_000);
    let api = build.step(api_stage, "RUN api", 1_000..3_000);
    let web = build.step(web_stage, "RUN web", 1_000..5_000);
    for (step, time) in [(base, 0..1_000), (api, 1_000..3_000), (web, 1_000..5_000)] {
        build.span(step, Phase::Process, time);
    }
    for step in [api, web] {
        build.data(base, step).wait(step, WaitKind::Dependency, base, 0..1_000);
    }
    for (name, time) in [("api", 3_000..3_100), ("web", 5_000..5_200)] {
        let delivery = build.span(None, Phase::Commit, time.clone());
        build.within(delivery, Phase::Export, time);
        build.with(|record| record.spans[delivery.0 as usize].name = Some(name.into()));
    }
    let target = |name: &str, step, start, end| Target {
        name: name.into(),
        steps: vec![step],
        outcome: TargetOutcome::Built,
        start: Some(ms(start)),
        end: Some(ms(end)),
        image: None,
        error: None,
    };
    build.with(|record| record.targets = vec![target("api", api, 3_000, 3_100), target("web", web, 5_000, 5_200)]);
    build.finish(5_200)
}

#[test]
fn each_target_has_its_end_its_steps_and_its_critical_path() {
    let explained = explain(&bake()).targets;
    let rows: Vec<_> =
        explained.iter().map(|target| (&*target.name, target.end.unwrap(), target.steps, target.shared)).collect();
    assert_eq!(rows, [("api", ms(3_100), 2, 1), ("web", ms(5_200), 2, 1)]);
    let path =
        |index: usize| explained[index].path.iter().map(|leg| (leg.step.0, leg.start, leg.end)).collect::<Vec<_>>();
    assert_eq!(path(0), [(0, ms(0), ms(1_000)), (1, ms(1_000), ms(3_000))]);
    assert_eq!(path(1), [(0, ms(0), ms(1_000)), (2, ms(1_000), ms(5_000))]);
}

#[test]
fn the_drag_of_a_target_is_that_of_the_steps_that_only_it_needs() {
    let explained = explain(&bake()).targets;
    // Without `RUN web`, the build ends after `RUN api` at 3.0 s instead of 5.0 s.
    assert_eq!(explained.iter().map(|target| target.drag).collect::<Vec<_>>(), [ms(0), ms(2_000)]);
}

#[test]
fn a_target_alone_is_a_record_that_ends_with_its_delivery() {
    let record = record_of(&bake(), "api").unwrap();
    record.validate().unwrap();
    assert_eq!((record.wall, record.steps.len(), record.stages.len()), (ms(3_100), 2, 2));
    assert_eq!(record.steps.iter().map(|step| &*step.text).collect::<Vec<_>>(), ["RUN base", "RUN api"]);
    let deliveries: Vec<_> = record.spans.iter().filter_map(|span| span.name.as_deref()).collect();
    assert_eq!(deliveries, ["api"], "the delivery of the other target is not its own");
    let explanation = explain(&record);
    assert!(
        explanation.answer.contains("took 3.10 s") && explanation.answer.contains("RUN api"),
        "{}",
        explanation.answer
    );
}

#[test]
fn an_unknown_target_is_an_error_that_lists_the_known_ones() {
    let error = record_of(&bake(), "app").unwrap_err();
    assert_eq!(error.to_string(), "this build has no target `app`; its targets are api, web");
    let single = Synthetic::default().finish(1);
    assert_eq!(record_of(&single, "app").unwrap_err(), UnknownTarget::None);
}

#[test]
fn thousands_of_targets_are_too_many_and_forty_are_not() {
    let with = |targets: usize, spans: usize| {
        let mut record = bake();
        record.targets = vec![record.targets[0].clone(); targets];
        record.spans = vec![record.spans[0].clone(); spans];
        has_too_many(&record)
    };
    assert!(with(4_000, 4_000));
    assert!(!with(40, 20_000));
}
