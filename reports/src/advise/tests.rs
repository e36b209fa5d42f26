//! Each rule on a record that calls for it, and silence on one that does not.

use super::*;
use crate::explain;
use crate::synthetic::{Synthetic, ms};
use buildscope_record::{ByteSize, ContextEntry, Layer, Phase, Resources};

fn advice(record: &Record, rule: &str) -> Option<Advice> {
    advise(record, &explain(record), &[]).into_iter().find(|advice| advice.rule == rule)
}

/// One stage whose steps follow each other, with their lengths in milliseconds.
fn chain(steps: &[(&str, u64)]) -> Synthetic {
    let mut made = Synthetic::default();
    let stage = made.stage("app");
    let (mut at, mut before) = (0, None);
    for &(text, length) in steps {
        let step = made.step(stage, text, at..at + length);
        if let Some(before) = before {
            made.data(before, step);
        }
        (at, before) = (at + length, Some(step));
    }
    made
}

#[test]
fn dependencies_are_installed_before_the_sources_are_copied() {
    let record = chain(&[("FROM node", 1), ("COPY . .", 20), ("RUN npm ci", 400)]).finish(421);
    let found = advice(&record, "copy-before-install").unwrap();
    assert_eq!((found.gain, found.line), (ms(400), Some(3)));
    assert_eq!(found.diff, ["-COPY . .", "+COPY package.json package-lock.json ./", " RUN npm ci", "+COPY . ."]);
    let mount = advice(&record, "cache-mount").unwrap();
    assert_eq!(mount.diff[1], "+RUN --mount=type=cache,target=/root/.npm npm ci");
    let good =
        chain(&[("FROM node", 1), ("COPY package.json ./", 1), ("RUN npm ci", 400), ("COPY . .", 20)]).finish(422);
    assert_eq!(advice(&good, "copy-before-install"), None);
}

#[test]
fn an_install_gets_a_layer_of_its_own() {
    let record = chain(&[("FROM node", 1), ("RUN npm ci && npm run build", 400)]).finish(401);
    let found = advice(&record, "split-run").unwrap();
    assert_eq!((found.gain, found.line), (ms(400), Some(2)));
    assert_eq!(found.diff, ["-RUN npm ci && npm run build", "+RUN npm ci", "+RUN npm run build"]);
    let good = chain(&[("FROM node", 1), ("RUN npm ci", 200), ("RUN npm run build", 200)]).finish(401);
    assert_eq!(advice(&good, "split-run"), None);
}

#[test]
fn a_recursive_chown_becomes_a_flag() {
    let mut made = chain(&[("COPY src /app", 20), ("RUN chown -R app:app /app", 300)]);
    made.with(|record| record.steps[1].layer = Some(Layer { bytes: ByteSize(22_000_000), files: 9, digest: None }));
    let found = advice(&made.finish(320), "recursive-chown").unwrap();
    assert_eq!(found.diff, ["-COPY src /app", "+COPY --chown=app:app src /app", "-RUN chown -R app:app /app"]);
    assert!(found.text.contains("22.0 MB"), "{}", found.text);
}

#[test]
fn small_runs_are_merged_and_unused_files_ignored() {
    let mut made = chain(&[("RUN a", 50), ("RUN b", 50), ("RUN c", 50)]);
    for step in 0..3 {
        made.span(StepId(step), Phase::SandboxSetup, u64::from(step) * 50..u64::from(step) * 50 + 40);
        made.span(StepId(step), Phase::Process, u64::from(step) * 50 + 40..u64::from(step) * 50 + 50);
    }
    made.span(None, Phase::ContextScan, 150..160);
    made.with(|record| {
        let entry =
            |path: &str, bytes, used| ContextEntry { path: path.into(), files: 10, bytes: ByteSize(bytes), used };
        record.context = vec![entry("src", 1_000_000, true), entry("node_modules", 9_000_000, false)];
    });
    let record = made.finish(160);
    let merge = advice(&record, "many-small-runs").unwrap();
    assert_eq!(
        (merge.gain, merge.diff),
        (ms(80), vec!["-RUN a".into(), "-RUN b".into(), "-RUN c".into(), "+RUN a && b && c".into()])
    );
    let ignore = advice(&record, "dockerignore").unwrap();
    assert_eq!((ignore.gain, ignore.diff), (ms(9), vec!["+node_modules".to_owned()]));
}

#[test]
fn pressure_and_history() {
    let mut made = chain(&[("RUN make", 100)]);
    made.with(|record| record.steps[0].resources = Some(Resources { cpu_pressure: ms(60), ..Resources::default() }));
    let record = made.finish(100);
    assert_eq!(advice(&record, "cpu-pressure").unwrap().gain, ms(60));
    let earlier = [40, 50, 45].map(|length| chain(&[("RUN make", length)]).finish(length));
    let found = advise(&record, &explain(&record), &earlier);
    let slower = found.iter().find(|advice| advice.rule == "slower-than-before").unwrap();
    assert_eq!(slower.gain, ms(55));
}

#[test]
fn a_build_without_fault_gets_no_advice() {
    let record = chain(&[("FROM busybox", 1), ("COPY a /a", 5), ("RUN cc a.c", 100)]).finish(106);
    assert_eq!(advise(&record, &explain(&record), &[]), []);
}
