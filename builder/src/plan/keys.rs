//! Cache keys: what a step's result depends on, by name.
//!
//! A definition key is the digest of its inputs, and the inputs are all there is to it: a record that has
//! both can say which input made a step miss. Steps that change only the configuration have the key of
//! what is below them, so what does not see a variable does not depend on it.

use super::graph::{Base, CopyFrom, MountKind, Op, Step};
use buildscope_record::{Digest, StepId, StepKey};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Raised when the meaning of a key changes: results of earlier versions are then not found.
const VERSION: &str = "1";

/// A step's place in the cache.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// The digest of the inputs.
    pub digest: StepKey,
    /// What went into it: name to value digest or short text.
    pub inputs: BTreeMap<String, String>,
}

/// The key of a step.
///
/// `key_of` gives the keys of the steps it depends on; `parent` is the step it goes on from. `content` is the
/// digest of what it takes from a context (files of COPY and ADD, or of bind mounts), which alone this module
/// cannot know; it must be given for every step that reads a context.
pub fn definition_key(
    step: &Step,
    parent: Option<StepId>,
    key_of: &dyn Fn(StepId) -> StepKey,
    content: Option<Digest>,
) -> Key {
    let mut inputs = BTreeMap::new();
    let mut add = |name: &str, value: String| {
        inputs.insert(name.to_owned(), value);
    };
    let text = |value: &Value| Digest::of(value.to_string()).to_string();
    let mut needs_parent = true;
    let mut instruction = json!({ "version": VERSION });
    match &step.op {
        Op::Config | Op::Pruned => {
            if let Some(parent) = parent {
                return Key {
                    digest: key_of(parent),
                    inputs: [("parent".to_owned(), key_of(parent).to_string())].into(),
                };
            }
        }
        Op::From(base) => match base {
            Base::Stage(from) => {
                return Key {
                    digest: key_of(*from),
                    inputs: [("parent".to_owned(), key_of(*from).to_string())].into(),
                };
            }
            Base::Scratch => instruction["from"] = json!("scratch"),
            Base::Image(image) => {
                instruction["from"] = json!("image");
                add("base", image.manifest.to_string());
            }
            Base::Context(name) => {
                instruction["from"] = json!("context");
                add("context", name.clone());
            }
        },
        Op::Workdir { path, user } => instruction["workdir"] = json!([path, user]),
        Op::Copy(copy) => {
            instruction["copy"] = json!({
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
            });
            add("from", source(&copy.from, key_of));
            // A name is looked up in the files below.
            let by_name =
                copy.chown.as_deref().is_some_and(|chown| chown.contains(|c: char| !c.is_ascii_digit() && c != ':'));
            needs_parent = !copy.link || by_name;
        }
        Op::Run(run) => {
            let mounts: Vec<Value> =
                run.mounts.iter().map(|mount| json!([mount.target, kind(&mount.kind, key_of)])).collect();
            let variables = run.env.variables();
            instruction["run"] = json!({
                "args": run.args,
                // A process sees their order.
                "variables": variables.iter().map(|variable| &*variable.name).collect::<Vec<_>>(),
                "workdir": run.workdir,
                "user": run.user,
                "network": run.network,
                "insecure": run.insecure,
                "devices": run.devices,
                "hostname": run.hostname,
            });
            for (i, mount) in mounts.iter().enumerate() {
                add(&format!("mount:{i}"), text(mount));
            }
            for variable in variables {
                let kind = if variable.argument { "arg" } else { "env" };
                add(&format!("{kind}:{}", variable.name), Digest::of(&*variable.value).to_string());
            }
        }
    }
    add("instruction", text(&instruction));
    if let (true, Some(parent)) = (needs_parent, parent) {
        add("parent", key_of(parent).to_string());
    }
    if let Some(content) = content {
        add("content", content.to_string());
    }
    // Names and values are written as JSON: no value can be mistaken for another name.
    Key { digest: StepKey::of(json!(inputs).to_string()), inputs }
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

/// A mount without what must not count: values of secrets, sockets.
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
