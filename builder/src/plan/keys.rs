//! Cache keys: the named inputs on which the result of a step depends.
//!
//! A definition key is the digest of its inputs and of nothing else. So a record with the inputs of two builds shows
//! which input caused a cache miss. A step that changes only the configuration has the key of its parent. So a step
//! depends only on the variables that are passed to it.

use super::graph::{Base, Copy, CopyFrom, MountKind, Network, Op, Run, Step};
use buildscope_record::{Digest, StepId, StepKey};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The version of the key format. It must change whenever the meaning of a key changes, so that results of earlier
/// versions are not found.
const VERSION: &str = "1";

/// The cache key of a step, with its inputs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// The digest of the inputs.
    pub digest: StepKey,
    /// The inputs by name. A value is a digest or a short text.
    pub inputs: BTreeMap<String, String>,
}

/// Computes the key of a step.
///
/// `key_of` returns the keys of the steps on which it depends, and `parent` is the step on whose file system it is
/// built. `content` is the digest of the files that the step reads from a context (by COPY, ADD or a bind mount). It
/// must be given for every step that reads a context, because this module does not read files.
pub fn definition_key(
    step: &Step,
    parent: Option<StepId>,
    key_of: &dyn Fn(StepId) -> StepKey,
    content: Option<Digest>,
) -> Key {
    let inherited = match &step.op {
        Op::From(Base::Stage(from)) => Some(*from),
        Op::Config | Op::Pruned => parent,
        _ => None,
    };
    if let Some(from) = inherited {
        return Key { digest: key_of(from), inputs: [("parent".to_owned(), key_of(from).to_string())].into() };
    }
    let mut inputs = Inputs(BTreeMap::new());
    let mut instruction = json!({ "version": VERSION });
    match &step.op {
        Op::From(base) => instruction["from"] = inputs.base(base),
        Op::Workdir { path, user } => instruction["workdir"] = json!([path, user]),
        Op::Copy(copy) => instruction["copy"] = inputs.copy(copy, key_of),
        Op::Run(run) => instruction["run"] = inputs.run(run, key_of),
        Op::Config | Op::Pruned => {}
    }
    inputs.add("instruction", text(&instruction));
    if let (true, Some(parent)) = (needs_parent(&step.op), parent) {
        inputs.add("parent", key_of(parent).to_string());
    }
    if let Some(content) = content {
        inputs.add("content", content.to_string());
    }
    let Inputs(inputs) = inputs;
    // Names and values are encoded as JSON, so that a value cannot be confused with another name.
    Key { digest: StepKey::of(json!(inputs).to_string()), inputs }
}

fn text(value: &Value) -> String {
    Digest::of(value.to_string()).to_string()
}

/// Returns whether the layer of a step depends on the files below it. The layer of a COPY with `--link` does so only if
/// a name in its `--chown` is looked up in these files.
fn needs_parent(op: &Op) -> bool {
    let Op::Copy(copy) = op else { return true };
    let by_name = copy.chown.as_deref().is_some_and(|chown| chown.contains(|c: char| !c.is_ascii_digit() && c != ':'));
    !copy.link || by_name
}

/// The inputs of a key, by name. Each method adds the inputs of one kind of operation, and returns the part that goes
/// into the input `instruction`.
struct Inputs(BTreeMap<String, String>);

impl Inputs {
    fn add(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    fn base(&mut self, base: &Base) -> Value {
        match base {
            // The FROM has the key of that stage.
            Base::Stage(_) => Value::Null,
            Base::Scratch => json!("scratch"),
            Base::Image(image) => {
                self.add("base", image.manifest.to_string());
                json!("image")
            }
            Base::Context(name) => {
                self.add("context", name.clone());
                json!("context")
            }
        }
    }

    fn copy(&mut self, copy: &Copy, key_of: &dyn Fn(StepId) -> StepKey) -> Value {
        self.add("from", source(&copy.from, key_of));
        json!({
            "add": copy.add,
            "sources": copy.sources,
            "inline": copy.inline,
            "destination": copy.destination,
            "workdir": copy.workdir,
            "chown": copy.chown,
            "chmod": copy.chmod,
            "link": copy.link,
            "parents": copy.parents,
            "exclude": copy.exclude,
            "checksum": copy.checksum,
            "unpack": copy.unpack,
            "keep_git_dir": copy.keep_git_dir,
        })
    }

    fn run(&mut self, run: &Run, key_of: &dyn Fn(StepId) -> StepKey) -> Value {
        for (i, mount) in run.mounts.iter().enumerate() {
            self.add(&format!("mount:{i}"), text(&json!([mount.target, kind(&mount.kind, key_of)])));
        }
        let variables = run.env.variables();
        for variable in &variables {
            let kind = if variable.argument { "arg" } else { "env" };
            self.add(&format!("{kind}:{}", variable.name), Digest::of(&*variable.value).to_string());
        }
        for (flag, value) in &run.options {
            // The instruction's own network counts more.
            if flag != "--network" || run.network == Network::Default {
                self.add(&format!("option:{flag}"), value.clone());
            }
        }
        json!({
            "args": run.args,
            // The order of the variables is visible to the process.
            "variables": variables.iter().map(|variable| &*variable.name).collect::<Vec<_>>(),
            "workdir": run.workdir,
            "user": run.user,
            "network": run.network,
            "insecure": run.insecure,
            "devices": run.devices,
            "hostname": run.hostname,
        })
    }
}

fn source(from: &CopyFrom, key_of: &dyn Fn(StepId) -> StepKey) -> String {
    match from {
        CopyFrom::Context => "context".into(),
        CopyFrom::NamedContext(name) => format!("context:{name}"),
        CopyFrom::Stage(step) => format!("step:{}", key_of(*step)),
        CopyFrom::Image(image) => format!("image:{}", image.manifest),
        CopyFrom::Empty => "empty".into(),
    }
}

/// Returns the part of a mount that goes into the key. Values of secrets and sockets of agents do not.
fn kind(kind: &MountKind, key_of: &dyn Fn(StepId) -> StepKey) -> Value {
    match kind {
        MountKind::Bind { from, source: path, writable } => json!(["bind", source(from, key_of), path, writable]),
        MountKind::Cache { id, sharing, from, readonly, mode, uid, gid } => {
            let from = from.as_ref().map(|(from, path)| (source(from, key_of), path));
            json!(["cache", id, sharing, from, readonly, mode, uid, gid])
        }
        other => json!(other),
    }
}
