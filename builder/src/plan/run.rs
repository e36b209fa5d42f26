//! RUN: command, mounts, network.

use super::graph::{CopyFrom, Mount, MountKind, Network, Run, Sharing};
use super::history::CreatedBy;
use super::scope::Scope;
use buildscope_dockerfile::mount::{MountType, Spec};
use buildscope_dockerfile::{self as dockerfile, Command, Diagnostic, Expander, Heredoc, Word, clean};

/// Where the file of a heredoc with `#!` is put, as BuildKit does.
const SCRIPTS: &str = "/dev/pipes";

/// Modes where the reference names none.
const CACHE_MODE: u32 = 0o755;
const SECRET_MODE: u32 = 0o400;
const SSH_MODE: u32 = 0o600;
const SCRIPT_MODE: u32 = 0o755;

/// What the whole build says about its steps.
pub(super) struct Surroundings {
    /// `BUILDKIT_CACHE_MOUNT_NS`: a prefix of cache names.
    pub(super) cache_namespace: Option<String>,
    /// `BUILDKIT_SANDBOX_HOSTNAME`.
    pub(super) hostname: Option<String>,
    /// Predefined proxy arguments that were given.
    pub(super) proxies: Vec<String>,
}

impl Surroundings {
    /// Nothing said.
    pub(super) fn none() -> Self {
        Self { cache_namespace: None, hostname: None, proxies: Vec::new() }
    }
}

/// Lowers a RUN. `source` says what a mount's `from` is.
pub(super) fn lower(
    run: &dockerfile::Run<'_>,
    scope: &Scope,
    expander: &Expander,
    around: &Surroundings,
    source: &mut dyn FnMut(&Word<'_>, &str) -> Option<CopyFrom>,
    faults: &mut Vec<Diagnostic>,
) -> (Run, CreatedBy) {
    let mut mounts = Vec::new();
    let args = match &run.command {
        Command::Exec(words) => words.iter().map(|word| word.text.to_string()).collect(),
        Command::Shell(word) => scope.with_shell(&shell_text(word, &run.heredocs, &mut mounts)),
    };
    let mut env = scope.env.clone();
    let mut sockets = 0;
    for word in run.mounts() {
        match Spec::parse(word, &|value| expander.word(value, scope)) {
            Ok(spec) => {
                if let Some(mount) = mount(spec, word, scope, around, &mut sockets, source, faults) {
                    if let (MountKind::Ssh { .. }, Some(target), 1) = (&mount.kind, &mount.target, sockets) {
                        env.set(super::Variable {
                            name: "SSH_AUTH_SOCK".into(),
                            value: target.as_str().into(),
                            argument: false,
                        });
                    }
                    mounts.push(mount);
                }
            }
            Err(fault) => faults.push(fault),
        }
    }
    let history = CreatedBy::Run { args: args.clone(), declared: scope.declared.clone(), env: scope.env.clone() };
    let network = match run.network().map(|word| &*word.text) {
        Some("none") => Network::None,
        Some("host") => Network::Host,
        _ => Network::Default,
    };
    let run = Run {
        args,
        env,
        unkeyed_env: around.proxies.clone(),
        workdir: scope.workdir.clone(),
        user: scope.user.clone(),
        mounts,
        network,
        insecure: run.security().is_some_and(|word| &*word.text == "insecure"),
        devices: run.devices().map(|word| word.text.to_string()).collect(),
        hostname: around.hostname.clone(),
    };
    (run, history)
}

/// What the shell is given: a document alone is the script, otherwise the shell reads the documents itself.
fn shell_text(word: &Word<'_>, documents: &[Heredoc], mounts: &mut Vec<Mount>) -> String {
    let Some(first) = documents.first() else { return word.text.to_string() };
    if matches!(Heredoc::parse(word), Ok(Some(_))) {
        let content = first.text().into_owned();
        if !content.starts_with("#!") {
            return content;
        }
        let target = format!("{SCRIPTS}/{}", first.name);
        mounts.push(Mount { target: Some(target.clone()), kind: MountKind::Inline { content, mode: SCRIPT_MODE } });
        return target;
    }
    let mut text = word.text.to_string();
    for document in documents {
        text.push('\n');
        text += &document.content;
        text += &document.name;
    }
    text
}

fn mount(
    spec: Spec,
    word: &Word<'_>,
    scope: &Scope,
    around: &Surroundings,
    sockets: &mut u32,
    source: &mut dyn FnMut(&Word<'_>, &str) -> Option<CopyFrom>,
    faults: &mut Vec<Diagnostic>,
) -> Option<Mount> {
    let absolute =
        |path: &str| clean(&if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", scope.workdir) });
    let target = spec.target.as_deref().map(absolute);
    if target.as_deref() == Some("/") {
        faults.push(
            Diagnostic::new(word.span, "invalid mount target \"/\"")
                .label("would hide the whole image")
                .help("mount on a directory below /"),
        );
        return None;
    }
    let inner = |path: Option<&str>| clean(&format!("/{}", path.unwrap_or_default()));
    let (uid, gid) = (spec.uid.unwrap_or(0), spec.gid.unwrap_or(0));
    let kind = match spec.kind {
        MountType::Bind => MountKind::Bind {
            from: match &spec.from {
                Some(from) => source(word, from)?,
                None => CopyFrom::Context,
            },
            source: inner(spec.source.as_deref()),
            writable: spec.readonly == Some(false),
        },
        MountType::Cache => {
            let id = spec.id.filter(|id| !id.is_empty()).or_else(|| target.clone()).unwrap_or_default();
            MountKind::Cache {
                id: match &around.cache_namespace {
                    Some(namespace) => format!("{namespace}/{id}"),
                    None => id,
                },
                sharing: match spec.sharing.as_deref() {
                    Some("private") => Sharing::Private,
                    Some("locked") => Sharing::Locked,
                    _ => Sharing::Shared,
                },
                from: match &spec.from {
                    Some(from) => Some((source(word, from)?, inner(spec.source.as_deref()))),
                    None => None,
                },
                readonly: spec.readonly == Some(true),
                mode: spec.mode.unwrap_or(CACHE_MODE),
                uid,
                gid,
            }
        }
        MountType::Tmpfs => MountKind::Tmpfs { size: spec.size },
        MountType::Secret => {
            let named = spec.id.clone().or_else(|| spec.source.clone()).filter(|id| !id.is_empty());
            let from_target = || target.as_deref().and_then(|target| target.rsplit('/').next()).map(str::to_owned);
            let Some(id) = named.or_else(from_target) else {
                faults.push(Diagnostic::new(word.span, "one of id, target required for a secret").help("add id=name"));
                return None;
            };
            let target = match (&target, &spec.env) {
                (None, None) => Some(format!("/run/secrets/{}", id.rsplit('/').next().unwrap_or(&id))),
                _ => target,
            };
            let kind = MountKind::Secret {
                id,
                required: spec.required,
                env: spec.env,
                mode: spec.mode.unwrap_or(SECRET_MODE),
                uid,
                gid,
            };
            return Some(Mount { target, kind });
        }
        MountType::Ssh => {
            let target = target.unwrap_or_else(|| format!("/run/buildkit/ssh_agent.{sockets}"));
            *sockets += 1;
            let kind = MountKind::Ssh {
                id: spec.id.filter(|id| !id.is_empty()).unwrap_or_else(|| "default".into()),
                required: spec.required,
                mode: spec.mode.unwrap_or(SSH_MODE),
                uid,
                gid,
            };
            return Some(Mount { target: Some(target), kind });
        }
    };
    Some(Mount { target, kind })
}
