//! Tests of finding stages and what their references mean, by the rules of the Dockerfile reference ("FROM", "COPY --from").

use super::*;
use crate::plan::AssumeImages;
use buildscope_dockerfile::expand::NoVariables;
use buildscope_dockerfile::parse;

/// Runs `check` on the stages of a file, and returns the messages of the errors.
fn stages(
    text: &str,
    request: &LowerRequest,
    check: impl FnOnce(&mut Stages<'_>, &mut Vec<Diagnostic>),
) -> Vec<String> {
    let file = parse(text).unwrap_or_else(|error| panic!("{error}"));
    let mut diagnostics = Vec::new();
    let mut stages = Stages::find(&file, request, &NoVariables, &mut diagnostics);
    check(&mut stages, &mut diagnostics);
    diagnostics.into_iter().map(|diagnostic| diagnostic.message).collect()
}

fn contexts(pairs: &[(&str, NamedContext)]) -> LowerRequest {
    let contexts = pairs.iter().map(|(name, context)| ((*name).to_owned(), context.clone())).collect();
    LowerRequest { contexts, ..LowerRequest::default() }
}

/// The meaning of a `from` word in a file.
fn source(text: &str, request: &LowerRequest, word: &str) -> FilesFrom {
    let mut found = None;
    stages(text, request, |stages, diagnostics| {
        found = Some(stages.source(word, Span::default(), diagnostics));
    });
    found.unwrap()
}

#[test]
fn a_base_names_an_earlier_stage_in_lower_case() {
    let text = "FROM debian AS Build\nFROM build AS test\nFROM later\nFROM scratch AS later\n";
    let errors = stages(text, &LowerRequest::default(), |stages, _| {
        let bases: Vec<BaseOf> = stages.list.iter().map(|stage| stage.base.clone()).collect();
        let image = |name: &str| BaseOf::Image(name.into());
        assert_eq!(bases, [image("debian"), BaseOf::Stage(0), image("later"), BaseOf::Scratch]);
    });
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn of_two_stages_with_one_name_the_last_before_counts() {
    let text = "FROM a AS x\nFROM b AS x\nFROM x\n";
    stages(text, &LowerRequest::default(), |stages, _| assert_eq!(stages.list[2].base, BaseOf::Stage(1)));
    assert_eq!(source(text, &LowerRequest::default(), "X"), FilesFrom::Stage(1));
}

#[test]
fn a_stage_has_the_platform_of_its_base_stage() {
    let text = "FROM --platform=linux/riscv64 debian AS base\nFROM base\n";
    stages(text, &LowerRequest::default(), |stages, _| {
        assert_eq!(stages.list[1].platform, "linux/riscv64".parse().unwrap());
    });
}

#[test]
fn a_source_is_a_stage_then_an_index_then_an_image() {
    let text = "FROM debian AS zero\nFROM alpine\n";
    let of = |word: &str| source(text, &LowerRequest::default(), word);
    assert_eq!(of("zero"), FilesFrom::Stage(0));
    assert_eq!(of("0"), FilesFrom::Stage(0));
    assert_eq!(of("1"), FilesFrom::Stage(1));
    assert_eq!(of("scratch"), FilesFrom::Scratch);
    assert_eq!(of("busybox:1.36"), FilesFrom::Image("busybox:1.36".into()));
    let errors = stages(text, &LowerRequest::default(), |stages, diagnostics| {
        stages.source("2", Span::default(), diagnostics);
    });
    assert_eq!(errors, ["invalid stage index 2"]);
}

#[test]
fn a_named_context_replaces_a_stage_and_an_image() {
    let request = contexts(&[
        ("tools", NamedContext::Directory),
        ("docker.io/library/golang", NamedContext::Image("mirror/golang:1".into())),
    ]);
    let text = "FROM debian AS tools\nRUN x\nFROM golang\n";
    stages(text, &request, |stages, _| {
        assert_eq!(stages.list[0].base, BaseOf::Context("tools".into()));
        assert!(stages.list[0].body.is_empty(), "the instructions of a replaced stage are not built");
        assert_eq!(stages.list[1].base, BaseOf::Image("mirror/golang:1".into()));
    });
    assert_eq!(source("FROM debian\n", &request, "golang"), FilesFrom::Image("mirror/golang:1".into()));
}

#[test]
fn only_stages_that_the_target_needs_are_resolved() {
    let text = "FROM a AS unused\nFROM b AS tools\nFROM c\nCOPY --from=tools /t /t\n";
    stages(text, &LowerRequest::default(), |stages, diagnostics| {
        let target = stages.target(None, diagnostics);
        stages.resolve(target, &AssumeImages, diagnostics);
        let live: Vec<bool> = stages.list.iter().map(|stage| stage.live).collect();
        assert_eq!(live, [false, true, true]);
        assert!(stages.list[0].resolved.is_none() && stages.list[2].resolved.is_some());
    });
}

#[test]
fn the_target_is_a_name_or_an_index_or_the_last_stage() {
    let text = "FROM a AS one\nFROM b AS two\nFROM c\n";
    for (target, expected) in [(None, 2), (Some(""), 2), (Some("ONE"), 0), (Some("1"), 1)] {
        let errors = stages(text, &LowerRequest::default(), |stages, diagnostics| {
            assert_eq!(stages.target(target, diagnostics), expected, "{target:?}");
        });
        assert!(errors.is_empty(), "{errors:?}");
    }
    let errors = stages(text, &LowerRequest::default(), |stages, diagnostics| {
        stages.target(Some("tow"), diagnostics);
    });
    assert_eq!(errors, ["target stage \"tow\" could not be found (did you mean two?)"]);
}

#[test]
fn a_cycle_of_stages_is_an_error() {
    let text = "FROM a AS one\nCOPY --from=two /x /x\nFROM b AS two\nCOPY --from=one /x /x\nFROM c\n";
    let errors = stages(text, &LowerRequest::default(), |stages, diagnostics| stages.refuse_cycles(diagnostics));
    assert_eq!(errors, ["circular dependency detected on stage: one"]);
}
