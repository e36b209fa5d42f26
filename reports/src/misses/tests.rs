//! Root causes of misses, from records whose inputs are known.

use super::*;
use crate::{explain, synthetic::Synthetic};
use buildscope_record::{Cache, Removal, StepKey};

fn root_misses(now: &Record, earlier: &[Record]) -> Vec<Miss> {
    root_causes(&Analysis::new(now), earlier)
}

/// A COPY and a RUN after it that takes 90 ms, in parallel with a RUN that depends on an argument.
fn build(inputs: [&[(&str, &str)]; 3]) -> Record {
    let mut made = Synthetic::default();
    let (a, b) = (made.stage("a"), made.stage("b"));
    let copy = made.step(a, "COPY . .", 0..10);
    let run = made.step(a, "RUN make", 10..100);
    made.step(b, "RUN echo $V", 0..20);
    made.data(copy, run);
    made.with(|record| {
        for (step, inputs) in record.steps.iter_mut().zip(inputs) {
            let inputs = inputs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
            step.cache = Some(Cache { key: StepKey::of("key"), inputs, miss: None, removed: None });
        }
    });
    made.finish(100)
}

#[test]
fn a_changed_file_has_the_cost_of_all_later_reruns() {
    let before = build([&[("file:src/a.rs", "1"), ("content", "1")], &[("parent", "1")], &[("arg:V", "1")]]);
    let now = build([&[("file:src/a.rs", "2"), ("content", "2")], &[("parent", "2")], &[("arg:V", "2")]]);
    let found = root_misses(&now, std::slice::from_ref(&before));
    let sentences: Vec<_> = found.iter().map(|miss| miss.sentence.as_str()).collect();
    assert_eq!(
        sentences,
        [
            "`COPY . .` changed: `src/a.rs`: 100 ms rerun with 1 step after it, 100 ms on the critical path",
            "`RUN echo $V` changed: build argument `V`: 20.0 ms rerun, 0 ns on the critical path",
        ]
    );
    let again = root_misses(&now, std::slice::from_ref(&now));
    assert!(again.iter().all(|miss| miss.cause == Cause::Gone), "{again:?}");
    assert_eq!(again.len(), 1, "one reason, one sentence: {again:?}");
    let mut filtered = now.clone();
    filtered.options.no_cache_stages = vec!["a".into()];
    let found = root_misses(&filtered, std::slice::from_ref(&now));
    let causes: Vec<_> = found.iter().map(|miss| (miss.step.0, miss.cause.clone())).collect();
    assert_eq!(causes, [(0, Cause::Unasked(vec!["a".into()])), (2, Cause::Gone)]);
    assert!(found[0].sentence.starts_with("`--no-cache-filter` ignored the results of 2 steps"), "{found:?}");
    let mut cold = now.clone();
    cold.options.cache = Some(CacheState::Cold);
    let unasked = root_misses(&cold, &[now]);
    let sentences: Vec<_> = unasked.iter().map(|miss| miss.sentence.as_str()).collect();
    assert_eq!(
        sentences,
        ["`--no-cache` ignored the results of 3 steps that did not change: 120 ms rerun, 100 ms on the critical path"]
    );
}

#[test]
fn a_removal_is_the_cause_whatever_else_changed() {
    let mut now = build([&[("content", "1")], &[("parent", "1")], &[("arg:V", "1")]]);
    let with = |step: &mut Step, removed, miss: Option<&str>| {
        let cache = step.cache.as_mut().unwrap();
        (cache.removed, cache.miss) = (Some(removed), miss.map(str::to_owned));
    };
    with(
        &mut now.steps[0],
        Removal::Expired,
        Some("its result expired (unused for 8 days when old ones were removed 2 h ago)"),
    );
    with(&mut now.steps[2], Removal::Pruned, None);
    // No earlier record is needed, because the store remembers removals.
    let alone = explain(&now);
    let causes: Vec<_> = alone.misses.iter().map(|miss| (miss.step.0, miss.cause.clone())).collect();
    assert_eq!(causes, [(0, Cause::Expired), (2, Cause::Pruned)]);
    assert_eq!(
        alone.steps[0].miss.as_deref(),
        Some(
            "`COPY . .` ran again: its result expired (unused for 8 days when old ones were removed 2 h ago): \
             100 ms rerun with 1 step after it, 100 ms on the critical path"
        )
    );
    let other = build([&[("content", "2")], &[("parent", "2")], &[("arg:V", "2")]]);
    let found = root_misses(&now, &[other]);
    assert!(found.iter().all(|miss| matches!(miss.cause, Cause::Expired | Cause::Pruned)), "{found:?}");
}

/// A stage of steps that add layers. The key of each is that of its texts so far, with the times of its files.
fn stage(texts: &[&str], times: &str) -> Record {
    let mut made = Synthetic::default();
    let stage = made.stage("a");
    let mut before = None;
    for (at, text) in texts.iter().enumerate() {
        let at = at as u64 * 10;
        let step = made.step(stage, text, at..at + 10);
        if let Some(before) = before {
            made.data(before, step);
        }
        before = Some(step);
    }
    made.with(|record| {
        let mut key = String::new();
        for step in &mut record.steps {
            let mut inputs = BTreeMap::from([("instruction".to_owned(), step.text.clone())]);
            if step.instruction != Instruction::From {
                inputs.insert("parent".into(), key.clone());
            }
            if step.instruction == Instruction::Copy {
                inputs.insert("times".into(), times.into());
            }
            key = format!("{key};{}", step.text);
            step.cache = Some(Cache { key: StepKey::of(&key), inputs, miss: None, removed: None });
        }
    });
    made.finish(texts.len() as u64 * 10)
}

fn only(now: &Record, before: Record) -> Miss {
    let mut found = root_misses(now, &[before]);
    found.retain(|miss| !matches!(miss.cause, Cause::Gone));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn an_inserted_step_is_the_cause_although_a_checkout_changed_all_times() {
    let before = stage(&["FROM base", "COPY cfg.json /", "RUN make"], "old");
    let found = only(&stage(&["FROM base", "RUN true", "COPY cfg.json /", "RUN make"], "new"), before);
    assert_eq!((found.step, found.cause, found.caused), (StepId(1), Cause::New, vec![StepId(2), StepId(3)]));
}

#[test]
fn a_removed_or_moved_step_is_named() {
    let before = || stage(&["FROM base", "COPY a /", "COPY b /", "RUN make"], "old");
    let removed = only(&stage(&["FROM base", "COPY b /", "RUN make"], "new"), before());
    assert_eq!((removed.step, &removed.cause), (StepId(1), &Cause::Removed("COPY a /".into())));
    assert!(removed.sentence.starts_with("`COPY b /` ran again: `COPY a /` before it was removed: "), "{removed:?}");
    let moved = only(&stage(&["FROM base", "COPY b /", "COPY a /", "RUN make"], "new"), before());
    assert_eq!((moved.step, &moved.cause), (StepId(1), &Cause::Moved("COPY a /".into())));
    assert_eq!(moved.caused, [StepId(2), StepId(3)]);
}

#[test]
fn an_inserted_step_that_was_cached_is_the_cause_of_the_next() {
    let before = stage(&["FROM base", "RUN make"], "");
    let mut now = stage(&["FROM base", "RUN true", "RUN make"], "");
    now.steps[1].outcome = Outcome::Cached;
    let found = root_misses(&now, &[before]);
    let found = found.iter().find(|miss| miss.step == StepId(1)).unwrap();
    assert_eq!((&found.cause, found.caused.as_slice()), (&Cause::New, &[StepId(2)][..]));
}

#[test]
fn one_argument_of_several_steps_is_one_miss() {
    let arg = |value: &'static str| {
        let mut record = stage(&["FROM base", "RUN a", "RUN b", "COPY x /"], "");
        for step in &mut record.steps[1..3] {
            step.cache.as_mut().unwrap().inputs.insert("arg:V".into(), value.into());
        }
        record.steps[3].cache.as_mut().unwrap().inputs.insert("parent".into(), value.into());
        record
    };
    let found = only(&arg("2"), arg("1"));
    assert_eq!((found.step, &found.cause), (StepId(1), &Cause::Arguments(vec!["V".into()])));
    assert_eq!(
        found.sentence,
        "build argument `V` changed for 2 steps from `RUN a` on: 30.0 ms rerun with 1 step after them, 30.0 ms on the critical path"
    );
}

#[test]
fn a_changed_base_is_named_with_its_digests() {
    let with = |digest: &str| {
        let mut record = stage(&["FROM busybox", "RUN a", "RUN b"], "");
        record.steps[0].outcome = Outcome::Cached;
        record.steps[0].cache.as_mut().unwrap().inputs.insert("base".into(), digest.into());
        record.steps[1].cache.as_mut().unwrap().inputs.insert("parent".into(), digest.into());
        record
    };
    let found = only(&with("sha256:aaaaaaaaaaaaaaaa"), with("sha256:bbbbbbbbbbbbbbbb"));
    assert_eq!((found.step, found.caused.as_slice()), (StepId(0), &[StepId(1)][..]));
    let expected =
        "`FROM busybox` changed: the base image `busybox` is sha256:aaaaaaaaaaaa now, it was sha256:bbbbbbbbbbbb: ";
    assert!(found.sentence.starts_with(expected), "{}", found.sentence);
}

#[test]
fn the_other_causes() {
    let inputs = |names: &'static [(&'static str, &'static str)]| build([names, &[], &[]]);
    let cause = |now, before| {
        root_misses(&inputs(now), &[inputs(before)]).iter().find(|miss| miss.step == StepId(0)).unwrap().cause.clone()
    };
    assert_eq!(cause(&[("content", "1")], &[("content", "2")]), Cause::Content);
    const FILE: (&str, &str) = ("file:./run.sh", "same");
    let modes = cause(&[("content", "2"), FILE], &[("content", "1"), FILE, ("entry:./run.sh", "file 0755 0:0")]);
    assert_eq!(modes, Cause::Metadata(vec!["mode of `run.sh` (0755, now 0644)".into()]));
    let base = Cause::Base { image: "busybox".into(), before: "2".into(), now: "1".into() };
    assert_eq!(cause(&[("base", "1")], &[("base", "2")]), base);
    assert_eq!(
        cause(&[("file:<<EOF", "1"), ("content", "1")], &[("file:<<EOF", "2"), ("content", "2")]),
        Cause::Files(vec!["<<EOF".into()])
    );
    assert_eq!(cause(&[("times", "1")], &[("times", "2")]), Cause::Times);
    assert_eq!(cause(&[("instruction", "1")], &[("instruction", "2")]), Cause::Instruction);
    assert_eq!(cause(&[("env:A", "1")], &[("env:A", "1"), ("env:B", "1")]), Cause::Environment(vec!["B".into()]));
    let options = Cause::Options(vec!["--add-host".into()]);
    assert_eq!(cause(&[("instruction", "1")], &[("instruction", "1"), ("option:--add-host", "a=::1")]), options);
    assert_eq!(cause(&[("from", "1")], &[("from", "2")]), Cause::Source);
    let alone = inputs(&[("content", "1")]);
    assert_eq!(root_misses(&alone, &[])[0].cause, Cause::New);
    // An owner in the text changes the files, too.
    let owned = |text: &str, content: &'static [(&'static str, &'static str)]| {
        let mut record = inputs(content);
        record.steps[0].text = text.to_owned();
        record
    };
    let (before, now) = (
        owned("COPY a /a", &[("content", "1"), FILE, ("entry:/", "x")]),
        owned("COPY --chown=5 a /a", &[("content", "2"), FILE, ("entry:/", "x")]),
    );
    assert_eq!(root_misses(&now, &[before])[0].cause, Cause::Instruction);
    // As does a mount.
    let (before, now) = (
        owned("RUN b", &[("from", "1")]),
        owned("RUN --mount=type=tmpfs,target=/t b", &[("from", "1"), ("mount:0", "[\"/t\"]")]),
    );
    assert_eq!(root_misses(&now, &[before])[0].cause, Cause::Instruction);
    // Also if only one of the texts has files of the context.
    let (before, now) = (
        owned("RUN make", &[("instruction", "1")]),
        owned("RUN --mount=type=bind,target=/s make", &[("instruction", "2"), ("content", "1")]),
    );
    assert_eq!(root_misses(&now, &[before])[0].cause, Cause::Instruction);
}

/// docker's BuildKit never marks a FROM as cached.
#[test]
fn a_base_in_a_log_is_no_miss() {
    let mut now = stage(&["FROM busybox", "COPY a /a", "RUN b", "RUN c"], "1");
    for step in &mut now.steps {
        step.cache = None;
    }
    now.steps[1].outcome = Outcome::Cached;
    let found = root_misses(&now, &[now.clone()]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].step, &found[0].caused[..], &found[0].cause), (StepId(2), &[StepId(3)][..], &Cause::Missing));
}

/// A log has no inputs: the reasons come from its texts and the digests of its base images.
#[test]
fn two_logs_say_what_their_texts_and_digests_show() {
    let log = |texts: &[&str], cached: usize| {
        let mut record = stage(texts, "1");
        for (at, step) in record.steps.iter_mut().enumerate() {
            step.cache = None;
            step.outcome = if at < cached { Outcome::Cached } else { Outcome::Executed };
        }
        record
    };
    let before =
        log(&["FROM b:1@sha256:aa", "RUN echo 1", "COPY a /a", "RUN --mount=type=bind,target=/m x", "RUN c"], 0);
    let with = |at: usize, text: &str| {
        let mut texts: Vec<String> = before.steps.iter().map(|step| step.text.clone()).collect();
        texts[at] = text.to_owned();
        log(&texts.iter().map(String::as_str).collect::<Vec<_>>(), at)
    };
    let same: Vec<&str> = before.steps.iter().map(|step| step.text.as_str()).collect();
    let base = Cause::Base { image: "b:1".into(), before: "sha256:aa".into(), now: "sha256:bb".into() };
    let removed = log(&[same[0], same[1], same[3], same[4]], 2);
    let moved = log(&[same[0], same[1], same[3], same[2], same[4]], 2);
    let inserted = log(&[same[0], same[1], "RUN new", same[2], same[3], same[4]], 2);
    for (now, step, cause) in [
        (with(1, "RUN echo 2"), 1, Cause::Text("RUN echo 1".into())),
        (with(0, "FROM b:1@sha256:bb"), 0, base),
        (log(&same, 2), 2, Cause::Unnamed),
        (log(&same, 3), 3, Cause::Unnamed),
        (log(&same, 4), 4, Cause::Missing),
        (log(&same, 0), 1, Cause::Uncached),
        (inserted, 2, Cause::New),
        (removed, 2, Cause::Removed("COPY a /a".into())),
        (moved, 2, Cause::Moved("COPY a /a".into())),
    ] {
        let found = root_misses(&now, std::slice::from_ref(&before));
        let found: Vec<_> = found.iter().map(|miss| (miss.step.0, miss.cause.clone())).collect();
        assert_eq!(found, [(step, cause)]);
    }
}

/// A stage whose last two RUNs depend on a setting, which is an instruction before them.
fn after_setting(setting: Option<&str>) -> Record {
    let texts: Vec<&str> = ["FROM base", "RUN prepare"].into_iter().chain(setting).chain(["RUN a", "RUN b"]).collect();
    let mut record = stage(&texts, "");
    let mut parent = "prepared".to_owned();
    for step in &mut record.steps {
        let inputs = &mut step.cache.as_mut().unwrap().inputs;
        if setting == Some(step.text.as_str()) {
            // A setting has the key of its parent.
            inputs.remove("instruction");
            inputs.insert("parent".into(), parent.clone());
        } else if matches!(step.text.as_str(), "RUN a" | "RUN b") {
            let definition = format!("{} {}", step.text, setting.unwrap_or_default());
            inputs.insert("parent".into(), parent);
            inputs.insert("instruction".into(), definition.clone());
            parent = definition;
        }
    }
    record
}

#[test]
fn a_changed_setting_is_the_cause_of_the_steps_behind_it() {
    let causes = |now: Option<&str>, before: Option<&str>| {
        let mut found = root_misses(&after_setting(now), &[after_setting(before)]);
        found.retain(|miss| !matches!(miss.cause, Cause::Gone));
        let said: Vec<_> =
            found.iter().map(|miss| miss.sentence.split(": 20.0 ms").next().unwrap().to_owned()).collect();
        said.join("; ")
    };
    assert_eq!(causes(Some("USER 6"), Some("USER 5")), "`RUN a` ran again: `USER 5` before it is `USER 6` now");
    let inserted = causes(Some("SHELL [\"/bin/bash\", \"-c\"]"), None);
    assert!(inserted.starts_with("`SHELL [\"/bin/bash\", \"-c\"]` is new: no earlier record has it"), "{inserted}");
    assert_eq!(causes(None, Some("USER 5")), "`RUN a` ran again: `USER 5` before it was removed");
}

#[test]
fn a_value_in_a_text_that_stayed_the_same_is_the_cause() {
    let with = |definition: &str| {
        let mut record = stage(&["FROM base", "COPY conf/${ENVIRONMENT}.toml /etc/"], "");
        let inputs = &mut record.steps[1].cache.as_mut().unwrap().inputs;
        inputs.insert("instruction".into(), definition.into());
        // The variable names another file.
        inputs.insert(format!("file:conf/{definition}.toml"), "sha256:1".into());
        record
    };
    let found = only(&with("production"), with("staging"));
    assert_eq!(found.cause, Cause::Expansion(vec!["ENVIRONMENT".into()]));
    let expected = "`COPY conf/${ENVIRONMENT}.toml /etc/` changed: the value of `ENVIRONMENT` in it: ";
    assert!(found.sentence.starts_with(expected), "{}", found.sentence);
}
