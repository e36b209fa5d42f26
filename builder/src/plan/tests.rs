//! Tests of lowering by the rules of the Dockerfile reference: scopes, stages, errors and cache keys.

use super::keys::{Key, definition_key};
use super::*;
use buildscope_dockerfile::lint::Rule;
use buildscope_dockerfile::parse;
use buildscope_oci::ImageConfig;
use buildscope_record::{ManifestDigest, StepId, StepKey};
use std::collections::BTreeMap;
use std::sync::Arc;

mod limits;
mod platforms;

/// A resolver that knows these images, each with its ONBUILD triggers.
struct Images(BTreeMap<&'static str, Vec<&'static str>>);

impl ImageResolver for Images {
    fn resolve(&self, reference: &str, platform: &buildscope_oci::Platform) -> Result<ResolvedBase, ResolveError> {
        let triggers = self.0.get(reference).ok_or_else(|| ResolveError::Missing("not found".into()))?;
        let mut config = ImageConfig { os: platform.os.clone(), ..ImageConfig::default() };
        config.config.on_build = triggers.iter().map(|&trigger| trigger.to_owned()).collect();
        config.config.env = vec!["PATH=/bin".into(), "BASE=base".into()];
        Ok(ResolvedBase { manifest: ManifestDigest::of(reference), config: Arc::new(config) })
    }
}

fn images() -> Images {
    Images(BTreeMap::from([("base", vec![]), ("trig", vec!["COPY --from=tools /t /t", "ENV T=1"])]))
}

fn with(text: &str, request: &LowerRequest) -> Result<Plan, String> {
    let file = parse(text).map_err(|diagnostics| diagnostics.to_string())?;
    lower(&file, request, &images())
        .map_err(|diagnostics| diagnostics.iter().map(|f| f.message.clone()).collect::<Vec<_>>().join("\n"))
}

fn plan(text: &str) -> Plan {
    with(text, &LowerRequest::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn args(pairs: &[(&str, &str)]) -> LowerRequest {
    let build_args = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    LowerRequest { build_args, ..LowerRequest::default() }
}

fn env_of_last_run(plan: &Plan) -> Vec<String> {
    let runs = plan.steps().filter_map(|step| match &step.op {
        Op::Run(run) => Some(run.env.to_vec()),
        _ => None,
    });
    runs.last().unwrap()
}

/// Returns the keys of all steps.
fn keys(plan: &Plan) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for step in plan.steps() {
        let key = definition_key(step, plan.parent(step.id), &|id: StepId| keys[id.index()].digest, None);
        keys.push(key);
    }
    keys
}

fn last_key(text: &str, request: &LowerRequest) -> StepKey {
    let plan = with(text, request).unwrap_or_else(|error| panic!("{error}"));
    keys(&plan)[plan.target.index()].digest
}

#[test]
fn an_instruction_uses_the_variables_before_it() {
    // The example of the Dockerfile reference: abc=hello, then abc=bye def=$abc, then ghi=$abc.
    let config = plan("FROM base\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc\n");
    let env = config.step(config.target).config.image().config.env;
    assert_eq!(env, ["PATH=/bin", "BASE=base", "abc=bye", "def=hello", "ghi=bye"]);
}

#[test]
fn arguments_have_scopes() {
    let request = args(&[("GIVEN", "cli"), ("UNDECLARED", "x")]);
    let text = "ARG GLOBAL=g\nARG GIVEN=default\nFROM base AS a\nRUN x\nFROM base\nARG GLOBAL\nARG GIVEN\nARG EMPTY\nARG OWN=$GLOBAL-o\nRUN x\n";
    let plan = with(text, &request).unwrap();
    assert_eq!(env_of_last_run(&plan), ["PATH=/bin", "BASE=base", "GLOBAL=g", "GIVEN=cli", "OWN=g-o"]);
    let run = plan.step(plan.target);
    assert_eq!(run.history.to_string(), "RUN |4 GLOBAL=g GIVEN=cli EMPTY= OWN=g-o /bin/sh -c x # buildkit");
    assert_eq!(run.config.image().config.env, ["PATH=/bin", "BASE=base"], "arguments are not in the image");
    assert!(plan.warnings.iter().any(|warning| warning.diagnostic.message.contains("UNDECLARED")));
}

/// As in BuildKit, an empty source is the whole context. Only an unset variable makes that unintended.
#[test]
fn a_source_of_unset_variables_gives_a_warning() {
    for (text, line) in [
        ("FROM base\nCOPY $UNSET /x/\n", 2),
        ("FROM base\nENV E=\nADD a \"${E}\" /x/\n", 3),
        ("FROM base\nCOPY [\"$UNSET\", \"/x/\"]\n", 2),
    ] {
        let warnings = plan(text).warnings;
        let found = warnings.iter().find(|warning| warning.rule == Rule::EmptyCopySource);
        assert_eq!(found.and_then(|found| found.lines), Some((line, line)), "{text}");
    }
    for text in ["FROM base\nCOPY \"\" /x/\n", "FROM base\nCOPY ${UNSET:-.} /x/\n"] {
        assert!(plan(text).warnings.is_empty(), "{text}");
    }
}

#[test]
fn a_stage_inherits_arguments_directory_user_and_shell() {
    let plan =
        plan("FROM base AS a\nARG A=1\nWORKDIR /w\nUSER u\nSHELL [\"/bin/bash\", \"-c\"]\nFROM a\nWORKDIR x\nRUN y\n");
    let Op::Run(run) = &plan.step(plan.target).op else { panic!() };
    assert_eq!((&*run.workdir, &*run.user), ("/w/x", "u"));
    assert_eq!(run.args, ["/bin/bash", "-c", "y"]);
    assert!(run.env.to_vec().contains(&"A=1".to_owned()));
}

#[test]
fn images_of_unused_stages_are_not_resolved() {
    let plan = plan("FROM nowhere AS dead\nRUN ${\nFROM base AS used\nFROM scratch\nCOPY --from=used /a /b\n");
    assert_eq!(plan.stages.iter().map(|stage| stage.live).collect::<Vec<_>>(), [false, true, true]);
    assert!(plan.steps().filter(|step| !step.live).all(|step| step.op == Op::Pruned));
}

#[test]
fn targets_are_names_in_any_case_or_indices() {
    let text = "FROM base AS One\nFROM base AS two\n";
    for (target, stage) in [("ONE", 0), ("0", 0), ("two", 1), ("", 1)] {
        let request = LowerRequest { target: Some(target.into()), ..LowerRequest::default() };
        assert_eq!(with(text, &request).unwrap().target, StepId(stage));
    }
    let request = LowerRequest { target: Some("tow".into()), ..LowerRequest::default() };
    assert!(with(text, &request).unwrap_err().contains("did you mean two"));
}

/// The file would replace the destination with everything in it.
#[test]
fn a_heredoc_of_copy_needs_the_name_of_a_file() {
    for name in ["..", ".", "a/.."] {
        let error = with(&format!("FROM base\nCOPY <<{name} /d/\nx\n{name}\n"), &LowerRequest::default()).unwrap_err();
        assert!(error.contains(&format!("`{name}` is not a name for a file")), "{error}");
    }
    plan("FROM base\nCOPY <<../x <<.y /d/\nx\n../x\ny\n.y\n");
}

#[test]
fn sources_are_stages_indices_images_and_contexts() {
    let text = "FROM base AS a\nFROM base\nCOPY --from=A /x /1\nCOPY --from=0 /x /2\nCOPY --from=base /x /3\nCOPY --from=named /x /4\nCOPY --from=scratch /x /5\n";
    let request = LowerRequest {
        contexts: BTreeMap::from([("named".to_owned(), NamedContext::Directory)]),
        ..LowerRequest::default()
    };
    let plan = with(text, &request).unwrap();
    let from: Vec<_> = plan
        .steps()
        .filter_map(|step| match &step.op {
            Op::Copy(copy) => Some(copy.from.clone()),
            _ => None,
        })
        .collect();
    let image = CopyFrom::Image(ImageSource { reference: "base".into(), manifest: ManifestDigest::of("base") });
    let stage = CopyFrom::Stage(StepId(0));
    assert_eq!(from, [stage.clone(), stage, image, CopyFrom::NamedContext("named".into()), CopyFrom::Empty]);
}

#[test]
fn named_contexts_replace_stages_and_images() {
    let request = |name: &str, context| LowerRequest {
        contexts: BTreeMap::from([(name.to_owned(), context)]),
        ..LowerRequest::default()
    };
    let stage = with("FROM nowhere AS a\nRUN x\nFROM a\n", &request("a", NamedContext::Directory)).unwrap();
    assert_eq!(stage.step(StepId(0)).op, Op::From(Base::Context("a".into())));
    assert_eq!(stage.graph.node_count(), 2, "the stage's instructions are replaced with it");
    let image = request("docker.io/library/alpine:latest", NamedContext::Image("base".into()));
    let plan = with("FROM alpine\n", &image).unwrap();
    assert!(matches!(&plan.step(StepId(0)).op, Op::From(Base::Image(image)) if image.reference == "base"));
}

#[test]
fn triggers_add_dependencies() {
    let plan = plan("FROM base AS tools\nRUN t\nFROM trig AS mid\nRUN x\nFROM mid\n");
    assert!(plan.stages[0].live, "the base image's trigger copies from it");
    let words: Vec<_> = plan.steps().map(|step| (step.keyword.name(), step.onbuild)).collect();
    assert_eq!(words[2..], [("FROM", false), ("COPY", true), ("ENV", true), ("RUN", false), ("FROM", false)]);
    let config = plan.step(plan.target).config.image().config;
    assert!(config.on_build.is_empty() && config.env.contains(&"T=1".to_owned()));
    let own = super::tests::plan("FROM base AS a\nONBUILD RUN y\nFROM a\nRUN z\n");
    let texts: Vec<_> = own.steps().map(|step| step.history.to_string()).collect();
    assert_eq!(texts[3..], ["RUN /bin/sh -c y # buildkit", "RUN /bin/sh -c z # buildkit"]);
}

#[test]
fn invalid_files_have_an_error() {
    for (text, message) in [
        ("FROM base AS a\nCOPY --from=a /x /x\n", "circular dependency detected on stage: a"),
        ("FROM base AS a\nCOPY --from=b /x /x\nFROM base AS b\nCOPY --from=a /x /x\n", "circular dependency"),
        ("FROM base AS a\nCOPY --from=b /x /x\nFROM base AS b\nFROM a\n", "it needs to be defined before"),
        ("FROM base\nCOPY --from=7 /x /x\n", "invalid stage index 7"),
        ("FROM base\nRUN --mount=from=nowhere,target=/x y\n", "nowhere: not found"),
        ("FROM base\nCOPY --from=$A /x /x\n", "variable expansion is not supported for --from"),
        ("ARG A\nFROM $A\n", "should not be blank"),
        ("FROM --platform=a/b/c/d base\n", "failed to parse platform"),
        ("FROM Base:x/y\n", "failed to parse stage name"),
        ("FROM base\nRUN --mount=type=tmpfs,target=/ x\n", "invalid mount target"),
        ("FROM base\nSTOPSIGNAL SIGNONE\n", "Invalid signal"),
        ("FROM base\nADD --checksum=sha256:00 https://a.example/x /x\n", "invalid checksum digest format"),
        ("FROM base\nUSER 4294967295\n", "id 4294967295 is out of range"),
        ("FROM base\nARG G=2147483648\nUSER daemon:$G\n", "id 2147483648 is out of range"),
        ("FROM base\nCOPY --chown=4294967295 x /x\n", "id 4294967295 is out of range"),
        ("FROM base\nARG U=4294967295\nRUN --mount=type=cache,target=/c,uid=$U x\n", "id 4294967295 is out of range"),
        ("FROM base\nCOPY https://a.example/x /x\n", "source can't be a URL for COPY"),
        ("FROM base\nWORKDIR ${B?need B}\n", "B: need B"),
    ] {
        match with(text, &LowerRequest::default()) {
            Ok(_) => panic!("lowered: {text}"),
            Err(found) => assert!(found.contains(message), "{text}: {found}"),
        }
    }
}

#[test]
fn all_independent_errors_are_reported_at_once() {
    let found = with("FROM base\nEXPOSE x\nENV A=${B?b}\nSTOPSIGNAL y\nVOLUME $Z\nRUN z\n", &LowerRequest::default());
    assert_eq!(found.unwrap_err().lines().count(), 4);
}

#[test]
fn a_run_has_its_mounts() {
    let text = "FROM base AS a\nFROM base\nWORKDIR /w\nARG D=/cache\nRUN --mount=type=cache,target=$D,sharing=locked \
        --mount=from=a,source=x/../y,target=rel,rw --mount=type=secret,id=tok,env=TOK --mount=type=secret,id=s \
        --mount=type=ssh --mount=type=tmpfs,target=/t,size=1k x\n";
    let plan = plan(text);
    let Op::Run(run) = &plan.step(plan.target).op else { panic!() };
    let targets: Vec<_> = run.mounts.iter().map(|mount| mount.target.as_deref()).collect();
    let ssh = Some("/run/buildkit/ssh_agent.0");
    assert_eq!(targets, [Some("/cache"), Some("/w/rel"), None, Some("/run/secrets/s"), ssh, Some("/t")]);
    assert!(matches!(&run.mounts[0].kind, MountKind::Cache { id, sharing: Sharing::Locked, .. } if id == "/cache"));
    let bind = MountKind::Bind { from: CopyFrom::Stage(StepId(0)), source: "/y".into(), writable: true };
    assert_eq!(run.mounts[1].kind, bind);
    assert_eq!(run.mounts[5].kind, MountKind::Tmpfs { size: Some(1024) });
    assert!(run.env.to_vec().contains(&"SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0".to_owned()));
}

#[test]
fn a_heredoc_with_a_shebang_is_a_file() {
    let plan = plan("FROM base\nRUN <<EOF\n#!/bin/python\nprint(1)\nEOF\n");
    let Op::Run(run) = &plan.step(plan.target).op else { panic!() };
    assert_eq!(run.args, ["/bin/sh", "-c", "/dev/pipes/EOF"]);
    assert!(matches!(&run.mounts[0].kind, MountKind::Inline { content, mode: 0o755 } if content.starts_with("#!")));
}

#[test]
fn heredocs_expand_unless_the_delimiter_is_quoted() {
    let plan = plan("FROM base\nARG A=1\nCOPY <<a <<'b' <<-c /x/\n$A \"q\" \\$A\na\n$A\nb\n\ttab\n\tc\n");
    let Op::Copy(copy) = &plan.step(plan.target).op else { panic!() };
    let inline: Vec<_> = copy.inline.iter().map(|(name, text)| (&**name, &**text)).collect();
    assert_eq!(inline, [("a", "1 \"q\" $A\n"), ("b", "$A\n"), ("c", "tab\n")]);
}

#[test]
fn variables_change_only_keys_of_steps_that_use_them() {
    let copy = |env: &str| format!("FROM base\n{env}COPY a /a\n");
    let run = |env: &str| format!("FROM base\n{env}RUN x\n");
    let none = LowerRequest::default();
    assert_eq!(last_key(&copy(""), &none), last_key(&copy("ENV A=1\nLABEL x=y\nARG B=2\n"), &none));
    assert_ne!(last_key(&run(""), &none), last_key(&run("ENV A=1\n"), &none));
    assert_ne!(last_key(&run("ARG A=1\n"), &none), last_key(&run("ARG A=2\n"), &none));
    assert_eq!(last_key(&run(""), &none), last_key(&run("LABEL x=y\nEXPOSE 80\nCMD z\n"), &none));
    // An argument declared after a step does not reach it.
    assert_eq!(last_key("FROM base\nRUN x\nARG A=1\n", &none), last_key("FROM base\nRUN x\n", &none));
    assert_ne!(
        last_key(&run("ENV A=1 B=2\n"), &none),
        last_key(&run("ENV B=2 A=1\n"), &none),
        "a process sees the order"
    );
}

#[test]
fn proxies_are_in_the_key_only_if_declared() {
    let (one, other) = (args(&[("HTTP_PROXY", "a")]), args(&[("HTTP_PROXY", "b")]));
    let text = "FROM base\nRUN x\n";
    assert_eq!(last_key(text, &one), last_key(text, &other));
    let plan = with(text, &one).unwrap();
    let Op::Run(run) = &plan.step(plan.target).op else { panic!() };
    assert_eq!(run.unkeyed_env, ["HTTP_PROXY=a", "http_proxy=a"]);
    assert_eq!(plan.step(plan.target).history.to_string(), "RUN /bin/sh -c x # buildkit");
    let declared = "FROM base\nARG HTTP_PROXY\nRUN x\n";
    assert_ne!(last_key(declared, &one), last_key(declared, &other));
}

#[test]
fn keys_depend_on_dependencies_not_on_positions() {
    let none = LowerRequest::default();
    let copy = "FROM base AS s\nRUN a\nFROM base\nCOPY --from=s /x /x\n";
    let moved = "FROM base AS other\nRUN z\nFROM base AS s\nRUN a\nFROM base\nCOPY --from=s /x /x\n";
    let changed = "FROM base AS s\nRUN b\nFROM base\nCOPY --from=s /x /x\n";
    assert_eq!(last_key(copy, &none), last_key(moved, &none));
    assert_ne!(last_key(copy, &none), last_key(changed, &none));
    assert_ne!(last_key("FROM base\nRUN x\n", &none), last_key("FROM scratch\nRUN x\n", &none));
}

/// The exceptions are a name in `--chown`, which has to be resolved in the layers below, and a mode, which must not change their directories.
#[test]
fn the_key_of_a_linked_copy_ignores_the_layers_below() {
    let none = LowerRequest::default();
    let link = |flags: &str, below: &str| format!("FROM base\nRUN {below}\nCOPY --link {flags} a /a\n");
    assert_eq!(last_key(&link("", "1"), &none), last_key(&link("", "2"), &none));
    assert_eq!(last_key(&link("--chown=1:2", "1"), &none), last_key(&link("--chown=1:2", "2"), &none));
    assert_ne!(last_key(&link("--chown=me", "1"), &none), last_key(&link("--chown=me", "2"), &none));
    assert_ne!(last_key(&link("--chmod=700", "1"), &none), last_key(&link("--chmod=700", "2"), &none));
    assert_eq!(last_key(&link("--chmod=", "1"), &none), last_key(&link("--chmod=", "2"), &none));
}

#[test]
fn every_option_changes_the_key() {
    let none = LowerRequest::default();
    let mut seen = std::collections::BTreeSet::new();
    for line in [
        "RUN x",
        "RUN [\"x\"]",
        "RUN --network=none x",
        "RUN --security=insecure x",
        "RUN --mount=type=tmpfs,target=/t x",
        "RUN --mount=type=tmpfs,target=/u x",
        "RUN --mount=type=cache,target=/t x",
        "RUN --mount=type=cache,target=/t,id=o x",
        "RUN --mount=type=secret,id=a x",
        "RUN --mount=type=bind,target=/t x",
        "RUN --mount=type=bind,target=/t,rw x",
        "COPY a /b",
        "COPY a /b/",
        "COPY a b /b/",
        "ADD a /b",
        "ADD --unpack=false a /b",
        "ADD --keep-git-dir a /b",
        "COPY --chown=1 a /b",
        "COPY --chmod=600 a /b",
        "COPY --link a /b",
        "COPY --parents a /b",
        "COPY --exclude=c a /b",
        "COPY --exclude=c --exclude=d a /b",
        "COPY <<a /b\nx\na",
        "COPY <<a /b\ny\na",
        "WORKDIR /x",
        "WORKDIR /y",
        "USER u\nWORKDIR /y",
        "USER u\nRUN x",
        "WORKDIR /y\nRUN x",
        "WORKDIR /y\nCOPY a b",
        "WORKDIR /z\nCOPY a b",
    ] {
        assert!(seen.insert(last_key(&format!("FROM base\n{line}\n"), &none)), "{line} has the key of another line");
    }
}

#[test]
fn predefined_arguments_describe_the_platform() {
    let request = LowerRequest {
        platform: "linux/arm/v7".parse().unwrap(),
        build_platform: "linux/amd64".parse().unwrap(),
        ..LowerRequest::default()
    };
    let text =
        "FROM --platform=$BUILDPLATFORM base AS x\nARG TARGETPLATFORM TARGETVARIANT BUILDARCH TARGETSTAGE\nRUN y\n";
    let plan = with(text, &request).unwrap();
    let expected = ["TARGETPLATFORM=linux/arm/v7", "TARGETVARIANT=v7", "BUILDARCH=amd64", "TARGETSTAGE=x"];
    assert_eq!(env_of_last_run(&plan)[2..], expected);
    assert_eq!(plan.stages[0].platform.to_string(), "linux/amd64");
}

#[test]
fn errors_of_lines_and_words_are_reported_together() {
    let text = "FROM base\nCOPY --nonsense a b\nEXPOSE x\n";
    let found = diagnose(text, &LowerRequest::default());
    assert_eq!(found.len(), 2, "{found}");
    // After an invalid FROM, the meaning of the words below it is unknown.
    assert_eq!(diagnose("FROM a b\nEXPOSE x\n", &LowerRequest::default()).len(), 1);
}

fn targets(text: &str) -> Vec<(String, String)> {
    let plan = plan(text);
    let Op::Run(run) = &plan.step(plan.target).op else { panic!("{text}") };
    let name = |kind: &MountKind| match kind {
        MountKind::Cache { id, .. } => id.clone(),
        kind => format!("{kind:?}").split([' ', '(']).next().unwrap_or_default().to_owned(),
    };
    run.mounts.iter().map(|mount| (mount.target.clone().unwrap_or_default(), name(&mount.kind))).collect()
}

/// BuildKit resolves an empty target like a relative one, and names a cache by its target as written.
#[test]
fn a_mount_without_a_target_is_at_the_working_directory() {
    let at = |options: &str| targets(&format!("FROM base AS a\nFROM base\nWORKDIR /w\nRUN --mount={options} x\n"));
    let one = |target: &str, name: &str| vec![(target.to_owned(), name.to_owned())];
    for options in ["from=a,src=/etc", "ro", "type=bind", "source=x", "target=", "dst=.", "rw,from=a"] {
        assert_eq!(at(options), one("/w", "Bind"), "{options}");
    }
    assert_eq!(at("type=tmpfs"), one("/w", "Tmpfs"));
    assert_eq!(at("type=tmpfs,from=a,env=x"), one("/w", "Tmpfs"), "BuildKit ignores both");
    assert_eq!(at("type=cache"), one("/w", "."));
    assert_eq!(at("type=cache,target=./c/"), one("/w/c", "c"));
    assert_eq!(at("type=cache,target=/c/../d"), one("/d", "/d"));
    assert_eq!(at("type=cache,id=n"), one("/w", "n"));
    for options in ["ro", "type=cache", "type=tmpfs", "target=/"] {
        let text = format!("FROM base\nRUN --mount={options} x\n");
        assert!(with(&text, &LowerRequest::default()).unwrap_err().contains("invalid mount target \"/\""), "{options}");
    }
}

/// As in BuildKit, which expands the options of mounts only for stages that the target needs.
#[test]
fn mounts_are_checked_only_in_stages_that_the_target_needs() {
    for options in ["t$x=/a", "z", "type=nosuch,target=/a", "type=tmpfs,target=/a,sharing=shared"] {
        let run = format!("FROM base\nRUN --mount={options} x\n");
        assert!(with(&run, &LowerRequest::default()).is_err(), "{options}");
        assert!(with(&format!("{run}FROM base\n"), &LowerRequest::default()).is_ok(), "{options}");
    }
    let text = "FROM base AS a\nFROM base\nARG T=tmpfs\nRUN --mount=type=$T,from=a,target=/a x\n";
    assert!(plan(text).stages[0].live, "the stage of a mount whose type is a variable");
}

/// The table of BuildKit's results for a first `WORKDIR /a` and a second WORKDIR.
#[test]
fn a_relative_workdir_is_cleaned_and_an_absolute_one_is_kept() {
    for (second, expected) in [
        ("b", "/a/b"),
        ("b/../c/", "/a/c"),
        ("..", "/"),
        ("/a/b/..", "/a/b/.."),
        ("/c/", "/c/"),
        ("//c", "//c"),
        ("$UNSET", "/a"),
        ("\"\"", "/a"),
    ] {
        let plan = plan(&format!("FROM base\nWORKDIR /a\nWORKDIR {second}\nRUN x\n"));
        let step = plan.step(plan.target);
        let Op::Run(run) = &step.op else { panic!() };
        let workdir = plan.step(plan.parent(plan.target).unwrap());
        assert_eq!(run.workdir, expected);
        assert_eq!(step.config.image().config.working_dir, expected);
        assert_eq!(workdir.history.to_string(), format!("WORKDIR {expected}"));
    }
}

/// A process gets a variable that is set again after the others. The image configuration keeps its place.
#[test]
fn a_variable_that_is_set_again_moves_to_the_end() {
    let plan = plan("FROM base\nENV A=1\nENV PATH=/x:$PATH\nARG A=2\nRUN x\n");
    assert_eq!(env_of_last_run(&plan), ["BASE=base", "PATH=/x:/bin", "A=2"]);
    let env = plan.step(plan.target).config.image().config.env;
    assert_eq!(env, ["PATH=/x:/bin", "BASE=base", "A=1"]);
}

#[test]
fn a_stage_sets_the_variables_of_its_base_stage_again() {
    let plan = plan("FROM base AS a\nENV A=1\nARG A=2\nARG B=b\nENV PATH=/x\nFROM a\nRUN x\n");
    assert_eq!(env_of_last_run(&plan), ["B=b", "PATH=/x", "BASE=base", "A=1"]);
}

#[test]
fn a_platform_may_be_one_word() {
    for (word, expected) in [("amd64", "linux/amd64"), ("arm64", "linux/arm64"), ("$BUILDPLATFORM", "linux/s390x")] {
        let request = args(&[("BUILDPLATFORM", "s390x")]);
        let plan = with(&format!("FROM --platform={word} base\n"), &request).unwrap();
        assert_eq!(plan.stages[0].platform.to_string(), expected);
    }
    let host = plan("FROM --platform=linux base\n").stages[0].platform.clone();
    assert_eq!(host, buildscope_oci::Platform::host());
    for word in ["nosuch", "$UNSET", "linux/"] {
        assert!(with(&format!("FROM --platform={word} base\n"), &LowerRequest::default()).is_err(), "{word}");
    }
}

/// BuildKit keeps the names of stages in lower case and looks up a base as written. `--from` ignores the case.
#[test]
fn from_finds_a_stage_by_its_name_in_lower_case() {
    let error = with("FROM scratch AS Big\nFROM Big\n", &LowerRequest::default()).unwrap_err();
    assert!(error.contains("failed to parse stage name \"Big\"") && error.contains("did you mean big?"), "{error}");
    assert_eq!(plan("FROM scratch AS Big\nFROM big\n").stages[1].base, "big");
    assert!(plan("FROM scratch AS Big\nFROM scratch\nCOPY --from=BIG / /\n").stages[0].live);
}
