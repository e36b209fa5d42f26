//! Three builds of one Dockerfile whose totals are known by arithmetic.

use super::*;
use crate::synthetic::Synthetic;
use buildscope_record::{Cache, StepKey};

/// `fetch` takes one second, `make` the given number of milliseconds, one after the other.
fn build(day: u32, make: u64, file: &str) -> Record {
    let mut build = Synthetic::default();
    let stage = build.stage("app");
    let from = build.step(stage, "FROM busybox", 0..100);
    let copy = build.step(stage, "COPY . .", 100..1_100);
    let run = build.step(stage, "RUN make", 1_100..1_100 + make);
    build.data(from, copy).data(copy, run);
    build.with(|record| {
        record.started = Some(format!("2026-11-{day:02}T09:00:00Z"));
        let inputs = [("file:src/a.c".to_owned(), file.to_owned())].into();
        record.steps[1].cache = Some(Cache { key: StepKey::of(file), inputs, miss: None, removed: None });
    });
    build.finish(1_100 + make)
}

fn fleet() -> Report {
    let mut fleet = Fleet::default();
    for (day, make) in [(1, 2_000), (8, 4_000), (15, 6_000)] {
        fleet.add("Dockerfile", build(day, make, &day.to_string()));
    }
    fleet.report()
}

#[test]
fn totals_are_sums_over_the_builds() {
    let report = fleet();
    assert_eq!((report.builds, report.failed, report.days), (3, 0, 14.0));
    assert_eq!(report.wall, Nanos(15_300_000_000));
    let make = &report.steps[0];
    assert_eq!((make.text.as_str(), make.runs, make.cached, make.time), ("RUN make", 3, 0, Nanos(12_000_000_000)));
    assert_eq!(make.drag, make.time, "the steps follow each other");
    assert_eq!((report.bases[0].name.as_str(), report.bases[0].uses), ("busybox", 3));
}

#[test]
fn the_wall_time_of_many_builds_is_in_hours() {
    let mut fleet = Fleet::default();
    for day in [1, 8, 15] {
        fleet.add("Dockerfile", build(day, 3_600_000, "a"));
    }
    let report = fleet.report();
    let text = text(&report, crate::render::Style::default());
    assert!(text.starts_with("3 builds took 3.0 machine hours in 14.0 days, 1.5 hours a week.\n"), "{text}");
    assert!(
        markdown(&report).contains("| --: | --: | --: | --: | --- | --- | --- |\n"),
        "names are not aligned like numbers"
    );
}

#[test]
fn misses_are_counted_by_cause_and_file() {
    let report = fleet();
    let files = &report.files[0];
    // The first build has no earlier one to compare with. The other two run COPY again, and RUN after it.
    assert_eq!((files.cause.as_str(), files.misses), ("src/a.c", 2));
    assert!(
        report.causes.iter().any(|cause| cause.cause == "changed files" && cause.misses == 2),
        "{:?}",
        report.causes
    );
}

#[test]
fn a_trend_compares_the_older_with_the_newer_half() {
    let trend = &fleet().trends[0];
    assert_eq!((trend.builds, trend.older, trend.newer), (3, Some(Nanos(3_100_000_000)), Some(Nanos(7_100_000_000))));
}

#[test]
fn one_build_has_no_trend() {
    let mut fleet = Fleet::default();
    fleet.add("Dockerfile", build(1, 2_000, "1"));
    let report = fleet.report();
    assert_eq!((report.trends[0].older, report.trends[0].newer), (None, None));
    let shown = text(&report, crate::render::Style::default());
    assert!(shown.starts_with("1 build took 3.10 s.") && shown.contains("-             -  Dockerfile"), "{shown}");
}

#[test]
fn every_view_shows_the_most_expensive_step() {
    let report = fleet();
    for view in [text(&report, crate::render::Style::default()), markdown(&report), html(&report)] {
        assert!(view.contains("RUN make") && view.contains("3 builds took 15.3 s in 14.0 days"), "{view}");
    }
}

#[test]
fn parts_add_up_to_the_whole() {
    let builds: Vec<Record> = (1..=4).map(|day| build(day, u64::from(day) * 1_000, &day.to_string())).collect();
    let mut whole = Fleet::default();
    builds.iter().for_each(|record| whole.add("Dockerfile", record.clone()));
    let (mut first, mut second) = (Fleet::default(), Fleet::default());
    builds[..2].iter().for_each(|record| first.add("Dockerfile", record.clone()));
    second.compare_with("Dockerfile", builds[1].clone());
    builds[2..].iter().for_each(|record| second.add("Dockerfile", record.clone()));
    first.append(second);
    assert_eq!(first.report(), whole.report());
}
