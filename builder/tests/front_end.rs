//! Compares the front end with BuildKit's on real files: `BUILDSCOPE_DOCKERFILES` names a folder of Dockerfiles with
//! `reference.jsonl`, which has a line for each file with BuildKit's result, for base images that only set `PATH`.

use buildscope_builder::plan::{
    self, AssumeImages, Copy, Dependency, LowerRequest, MountKind, Network, Op, Plan, Run, Sharing, Step, is_git,
    is_url,
};
use buildscope_dockerfile::lint::{self, BaseImage, Family, LintContext, Pass, Stop};
use buildscope_dockerfile::{self as dockerfile, Dockerfile, Kind, clean};
use buildscope_oci::{Platform, Reference};
use buildscope_testing::test;
use petgraph::Direction;
use petgraph::visit::EdgeRef;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    buildscope_testing::main()
}

/// Files for which another result is intended, each with the aspect that differs and the reason.
const INTENDED: [(&str, &str, &str); 0] = [];

/// The first and the last line of an instruction.
type Lines = (u64, u64);

#[test(Variable("BUILDSCOPE_DOCKERFILES"))]
fn the_front_end_agrees_with_buildkits_on_real_files() {
    let folder = PathBuf::from(std::env::var_os("BUILDSCOPE_DOCKERFILES").unwrap());
    let reference = std::fs::read_to_string(folder.join("reference.jsonl")).unwrap();
    let (mut files, mut differences) = (0, Vec::new());
    for line in reference.lines() {
        let theirs: Value = serde_json::from_str(line).unwrap();
        let name = theirs["file"].as_str().unwrap();
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        files += 1;
        for (aspect, difference) in compare(&text, &theirs) {
            match INTENDED.iter().find(|(file, what, _)| (*file, *what) == (name, aspect)) {
                Some((.., reason)) => eprintln!("{name}: {aspect} differs on purpose: {reason}"),
                None => differences.push(format!("{name}: {aspect}: {difference}")),
            }
        }
    }
    eprintln!("{files} files, {} differences", differences.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn request(target: Option<String>) -> LowerRequest {
    let platform = Platform::new("linux", "amd64", None);
    LowerRequest { target, platform: platform.clone(), build_platform: platform, ..LowerRequest::default() }
}

/// Returns the aspects in which the results differ, each with both results.
fn compare(text: &str, theirs: &Value) -> Vec<(&'static str, String)> {
    let parsed = dockerfile::Parsed::of(text);
    let file = &parsed.file;
    let refused = |error: &dyn ToString| Some(error.to_string());
    let errors = dockerfile::Diagnostics::new(text, parsed.diagnostics.clone());
    let lowered = if errors.is_empty() { plan::lower(file, &request(None), &AssumeImages) } else { Err(errors) };
    let all_stages = lowered.as_ref().err().map_or_else(|| every_stage(file), |error| refused(error));
    let mut differences = Vec::new();
    let mut differ = |aspect, ours: Value, theirs: Value| {
        if ours != theirs {
            differences.push((aspect, format!("\n  ours   {ours}\n  theirs {theirs}")));
        }
    };
    let their_error =
        [&theirs["err"], &theirs["linterr"], &theirs["llberr"]].into_iter().find(|error| error.is_string());
    differ("accept", json!(lowered.is_ok()), json!(theirs["accepted"] == true));
    differ("accept all stages", json!(all_stages.is_none()), json!(their_error.is_none()));
    differ("stages", stages(file), theirs["stages"].clone());
    let plan = match lowered {
        Ok(plan) => plan,
        // BuildKit reports what it found before the error.
        Err(errors) => {
            let stop = parsed.stop.or_else(|| plan::stop(file, &request(None), &AssumeImages, &errors));
            let bases = file.instructions.iter().filter_map(|instruction| match &instruction.kind {
                Kind::From(from) => Some((from.base.text.to_string(), base())),
                _ => None,
            });
            let ours = findings(file, &bases.collect(), stop.or(Some(Stop::after(Pass::Commands))));
            differ("lint", json!(ours), json!(their_findings(theirs)));
            return differences;
        }
    };
    let bases = plan.stages.iter().map(|stage| (stage.base.clone(), base())).collect();
    differ("lint", json!(findings(file, &bases, None)), json!(their_findings(theirs)));
    differ("configuration", configuration(&plan), full(&theirs["config"]));
    differ("history", history(&plan), theirs["history"].clone());
    let classes = Classes::of(theirs);
    differ("edges", json!(edges(&plan, &classes)), json!(their_edges(theirs, &classes)));
    let steps: BTreeMap<Lines, &Step> =
        plan.steps().filter(|step| step.live).map(|step| (lines_of(step), step)).collect();
    for step in theirs["steps"].as_array().into_iter().flatten() {
        for lines in ranges(step) {
            let Some(ours) = steps.get(&lines) else {
                differ("steps", Value::Null, step.clone());
                continue;
            };
            match &ours.op {
                Op::Run(run) => differ("steps", process(run), their_process(step)),
                Op::Copy(copy) if step["acts"].is_array() => differ("steps", files(copy), their_files(step, copy)),
                _ => {}
            }
        }
    }
    differences
}

/// Lowers each stage as the target, and returns the first error.
fn every_stage(file: &Dockerfile<'_>) -> Option<String> {
    let count = file.instructions.iter().filter(|found| matches!(found.kind, Kind::From(_))).count();
    (0..count).find_map(|stage| {
        plan::lower(file, &request(Some(stage.to_string())), &AssumeImages).err().map(|error| error.to_string())
    })
}

fn base() -> BaseImage {
    BaseImage { env: vec!["PATH=/usr/bin".into()], shell: false }
}

fn stages(file: &Dockerfile<'_>) -> Value {
    let mut stages: Vec<Value> = Vec::new();
    for instruction in &file.instructions {
        match (&instruction.kind, stages.last_mut()) {
            (Kind::From(from), _) => stages.push(json!({
                "name": from.name.as_ref().map(|name| name.to_lowercase()).unwrap_or_default(),
                "base": from.base.text,
                "line": instruction.lines.0,
                "instructions": [],
            })),
            (_, Some(stage)) => {
                let list = stage["instructions"].as_array_mut().unwrap();
                list.push(json!(instruction.keyword().name()));
            }
            (_, None) => {}
        }
    }
    json!(stages)
}

/// The findings of BuildKit's rules, by rule and line.
fn findings(file: &Dockerfile<'_>, bases: &BTreeMap<String, BaseImage>, stop: Option<Stop>) -> Vec<(String, u64)> {
    let context = LintContext {
        bases: bases.clone(),
        is_image_name: |word| word.parse::<Reference>().is_ok(),
        platform_of: |word| word.parse::<Platform>().ok().map(|platform| [platform.os, platform.architecture]),
        stop,
        ..LintContext::default()
    };
    let report = lint::run(file, &context).unwrap();
    let theirs = report.findings.iter().filter(|found| matches!(found.rule.family(), Family::Buildkit));
    let mut found: Vec<_> =
        theirs.map(|found| (found.rule.name().to_owned(), u64::from(found.lines.map_or(0, |lines| lines.0)))).collect();
    found.sort();
    found
}

fn their_findings(theirs: &Value) -> Vec<(String, u64)> {
    let list = theirs["lint"].as_array().into_iter().flatten();
    let mut found: Vec<_> =
        list.map(|found| (found["rule"].as_str().unwrap().to_owned(), found["line"].as_u64().unwrap_or(0))).collect();
    found.sort();
    found
}

/// Removes empty members, which Go omits.
fn full(value: &Value) -> Value {
    let mut members = value.as_object().cloned().unwrap_or_default();
    members.remove("ArgsEscaped");
    members.retain(|_, value| !(value.is_null() || *value == json!([]) || *value == json!({}) || *value == json!("")));
    Value::Object(members)
}

fn configuration(plan: &Plan) -> Value {
    full(&serde_json::to_value(plan.step(plan.target).config.image().config).unwrap())
}

fn history(plan: &Plan) -> Value {
    let steps = plan.chain(plan.target).map(|id| plan.step(id)).filter(|step| step.history.is_some());
    steps
        .map(|step| json!({"created_by": step.history.to_string(), "empty_layer": matches!(step.op, Op::Config)}))
        .collect()
}

fn lines_of(step: &Step) -> Lines {
    (step.lines.0.into(), step.lines.1.into())
}

fn ranges(node: &Value) -> impl Iterator<Item = Lines> {
    let ranges = node["lines"].as_array().into_iter().flatten();
    ranges.map(|range| (range[0].as_u64().unwrap(), range[1].as_u64().unwrap()))
}

/// The instructions that BuildKit merges into one operation, because they do the same. Each maps to the first of them.
struct Classes(BTreeMap<Lines, Lines>);

impl Classes {
    fn of(theirs: &Value) -> Self {
        let mut classes = BTreeMap::new();
        for node in theirs["nodes"].as_array().into_iter().flatten().filter(|node| works(node)) {
            let members: Vec<Lines> = ranges(node).collect();
            let known: Vec<Lines> = members.iter().filter_map(|lines| classes.get(lines).copied()).collect();
            let Some(first) = members.iter().chain(&known).min().copied() else { continue };
            classes.extend(members.into_iter().map(|lines| (lines, first)));
            for class in classes.values_mut().filter(|class| known.contains(class)) {
                *class = first;
            }
        }
        Self(classes)
    }

    fn class(&self, lines: Lines) -> Lines {
        self.0.get(&lines).copied().unwrap_or(lines)
    }
}

/// Whether a node of BuildKit's graph is the work of an instruction.
fn works(node: &Value) -> bool {
    matches!(node["kind"].as_str(), Some("exec" | "file" | "merge"))
}

fn their_edges(theirs: &Value, classes: &Classes) -> BTreeSet<(Lines, Lines)> {
    let nodes: Vec<&Value> = theirs["nodes"].as_array().into_iter().flatten().collect();
    let class = |node: &Value| ranges(node).next().filter(|_| works(node)).map(|lines| classes.class(lines));
    let mut edges = BTreeSet::new();
    for node in &nodes {
        let Some(to) = class(node) else { continue };
        let mut waiting = vec![*node];
        while let Some(node) = waiting.pop() {
            for input in node["inputs"].as_array().into_iter().flatten() {
                let input = nodes[usize::try_from(input.as_u64().unwrap()).unwrap()];
                match class(input) {
                    Some(from) if from != to => drop(edges.insert((from, to))),
                    // An operation without lines is part of another one.
                    _ => waiting.push(input),
                }
            }
        }
    }
    edges
}

fn edges(plan: &Plan, classes: &Classes) -> BTreeSet<(Lines, Lines)> {
    let works = |step: &Step| matches!(step.op, Op::Run(_) | Op::Copy(_) | Op::Workdir { .. });
    let mut edges = BTreeSet::new();
    for node in plan.graph.node_indices().filter(|node| plan.graph[*node].live && works(&plan.graph[*node])) {
        let to = classes.class(lines_of(&plan.graph[node]));
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            for edge in plan.graph.edges_directed(node, Direction::Incoming) {
                assert!(matches!(edge.weight(), Dependency::Parent | Dependency::Source));
                let from = &plan.graph[edge.source()];
                match classes.class(lines_of(from)) {
                    class if works(from) && class != to => drop(edges.insert((class, to))),
                    _ => waiting.push(edge.source()),
                }
            }
        }
    }
    edges
}

fn process(run: &Run) -> Value {
    let network = match run.network {
        Network::Default => "UNSET",
        Network::None => "NONE",
        Network::Host => "HOST",
    };
    // A secret in a variable has no target, and does not count as a mount in BuildKit.
    let mut mounts: Vec<String> = run.mounts.iter().filter(|mount| mount.target.is_some()).map(mount).collect();
    mounts.sort();
    json!({
        "args": run.args, "env": run.env, "cwd": run.workdir, "user": run.user, "net": network, "mounts": mounts,
    })
}

fn mount(mount: &plan::Mount) -> String {
    let target = mount.target.as_deref().unwrap_or_default();
    let below = |source: &str| if source == "/" { String::new() } else { source.to_owned() };
    match &mount.kind {
        MountKind::Bind { source, writable, .. } => format!("BIND {target} sel={} ro={}", below(source), !writable),
        MountKind::Cache { id, sharing, from, readonly, .. } => {
            let sharing = match sharing {
                Sharing::Shared => "SHARED",
                Sharing::Private => "PRIVATE",
                Sharing::Locked => "LOCKED",
            };
            let source = from.as_ref().map(|(_, source)| below(source)).unwrap_or_default();
            format!("CACHE {target} sel={source} ro={readonly} id=/{id} {sharing}")
        }
        MountKind::Tmpfs { .. } => format!("TMPFS {target} sel= ro=false"),
        MountKind::Secret { id, required, mode, uid, gid, .. } => {
            format!("SECRET {target} sel= ro=false id={id} {mode:o} {uid} {gid} opt={}", !required)
        }
        MountKind::Inline { .. } => format!("BIND {target} sel= ro=true"),
        MountKind::Ssh { id, required, mode, uid, gid } => {
            format!("SSH {target} sel= ro=false id={id} {mode:o} {uid} {gid} opt={}", !required)
        }
    }
}

/// A process as [`process`] describes it. BuildKit keeps the targets of mounts as written.
fn their_process(step: &Value) -> Value {
    let list = |name: &str| step[name].as_array().cloned().unwrap_or_default();
    let mut mounts: Vec<String> = list("mounts")
        .iter()
        .map(|mount| {
            let mut words: Vec<String> = mount.as_str().unwrap().split(' ').map(str::to_owned).collect();
            words[1] = clean(&words[1]);
            words.join(" ")
        })
        .collect();
    mounts.sort();
    json!({
        "args": list("args"), "env": list("env"), "cwd": step["cwd"], "user": step["user"].as_str().unwrap_or_default(),
        "net": step["net"], "mounts": mounts,
    })
}

/// The sources, the destination, whether an owner is given, and the mode of a COPY or ADD.
fn files(copy: &Copy) -> Value {
    let absolute = |path: &str| clean(&format!("/{path}"));
    let remote = |source: &&String| copy.add && (is_url(source) || is_git(source));
    let sources: BTreeSet<String> =
        copy.sources.iter().filter(|source| !remote(source)).map(|source| absolute(source)).collect();
    let destination = match copy.destination.strip_prefix('/') {
        Some(path) => absolute(path),
        None => absolute(&format!("{}/{}", copy.workdir, copy.destination)),
    };
    let mode = copy.chmod.as_deref().and_then(|mode| i64::from_str_radix(mode, 8).ok()).unwrap_or(-1);
    json!({ "sources": sources, "destination": destination, "owner": copy.chown.is_some(), "mode": mode })
}

/// The actions of BuildKit as [`files`] describes them. Its names of remote sources are not ours.
fn their_files(step: &Value, copy: &Copy) -> Value {
    let (mut sources, mut common) = (BTreeSet::new(), Value::Null);
    for action in step["acts"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let Some((source, rest)) = action.strip_prefix("copy ").and_then(|action| action.split_once(" -> ")) else {
            continue;
        };
        if !copy.add || rest.contains("wild=true") {
            sources.insert(clean(source));
        }
        let field =
            |name: &str| rest.split(&format!(" {name}=")).nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("");
        common = json!({
            "destination": clean(rest.split(' ').next().unwrap()),
            "owner": field("owner") != "<nil>", "mode": field("mode").parse::<i64>().unwrap(),
        });
    }
    common["sources"] = json!(sources);
    common
}
