//! Lowers RUN: its command, mounts and network.

use super::graph::{CopyFrom, Mount, MountKind, Network, Run, Sharing};
use super::history::CreatedBy;
use super::lowering::{LoweringContext, RunSettings};
use super::scope::Scope;
use super::sources::SourceResolver;
use buildscope_dockerfile::mount::{MountType, Spec};
use buildscope_dockerfile::{self as dockerfile, Command, Diagnostic, Dockerfile, Expander, Word, clean};
use buildscope_record::Origin;

// The default modes of mounts. The first three are those of the Dockerfile reference.
pub(crate) const CACHE_MODE: u32 = 0o755;
const SECRET_MODE: u32 = 0o400;
const SSH_MODE: u32 = 0o600;
const SCRIPT_MODE: u32 = 0o755;

/// Lowers one RUN.
pub(super) struct RunLowering<'a, 's> {
    scope: &'a Scope,
    file: &'a Dockerfile<'a>,
    expander: &'a Expander,
    settings: &'a RunSettings,
    sources: &'a mut SourceResolver<'s>,
    diagnostics: &'a mut Vec<Diagnostic>,
    /// The number of SSH mounts so far.
    sockets: u32,
}

impl<'a, 's> RunLowering<'a, 's> {
    pub(super) fn new(
        scope: &'a Scope,
        context: &'a LoweringContext<'_>,
        sources: &'a mut SourceResolver<'s>,
        diagnostics: &'a mut Vec<Diagnostic>,
    ) -> Self {
        let (file, expander, settings) = (context.file, &context.expander, &context.settings);
        Self { scope, file, expander, settings, sources, diagnostics, sockets: 0 }
    }

    /// Returns the operation and its entry in the image history. After errors, the operation is incomplete.
    pub(super) fn lower(mut self, run: &dockerfile::Run<'_>) -> (Run, CreatedBy) {
        let scope = self.scope;
        let (mut mounts, mut origins) = (Vec::new(), Vec::new());
        let args = match &run.command {
            Command::Exec(words) => {
                if let [_, .., option, _] = &words[..]
                    && option.starts_with('-')
                    && option.ends_with('c')
                {
                    origins = dockerfile::pieces_of_last(self.file, words).iter().map(origin).collect();
                }
                words.iter().map(|word| word.text.to_string()).collect()
            }
            Command::Shell(word) => {
                let script = dockerfile::Script::of(self.file, word, &run.heredocs);
                origins = script.pieces.iter().map(origin).collect();
                let text = match script.file {
                    None => script.text,
                    Some(target) => {
                        let kind = MountKind::Inline { content: script.text, mode: SCRIPT_MODE };
                        mounts.push(Mount { target: Some(target.clone()), kind });
                        target
                    }
                };
                scope.with_shell(&text)
            }
        };
        let mut env = scope.env.clone();
        for word in run.mounts() {
            let Some(mount) = self.mount(word) else { continue };
            if let (MountKind::Ssh { .. }, Some(target), 1) = (&mount.kind, &mount.target, self.sockets) {
                let (name, value) = ("SSH_AUTH_SOCK".into(), target.as_str().into());
                env.set(super::Variable { name, value, argument: false });
            }
            mounts.push(mount);
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
            unkeyed_env: self.settings.proxies.clone(),
            workdir: scope.workdir.clone(),
            user: scope.user.clone(),
            mounts,
            network,
            insecure: run.security().is_some_and(|word| &*word.text == "insecure"),
            devices: run.devices().map(|word| word.text.to_string()).collect(),
            hostname: self.settings.hostname.clone(),
            options: self.settings.options.clone(),
            origins,
        };
        (run, history)
    }

    fn mount(&mut self, word: &Word<'_>) -> Option<Mount> {
        let spec = match Spec::parse(word, &|value| self.expander.word(value, self.scope)) {
            Ok(spec) => spec,
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                return None;
            }
        };
        let target = match (&spec.target, spec.kind) {
            (Some(path), _) if !path.is_empty() => Some(self.absolute(path)),
            (_, MountType::Bind | MountType::Cache | MountType::Tmpfs) => Some(self.absolute("")),
            (_, MountType::Secret | MountType::Ssh) => None,
        };
        if target.as_deref() == Some("/") {
            self.diagnostics.push(
                Diagnostic::new(word.span, "invalid mount target \"/\"")
                    .label("this mount would hide the whole image")
                    .help("add target=/path, or mount on a directory below /"),
            );
            return None;
        }
        match spec.kind {
            MountType::Bind => Some(Mount { kind: self.bind(&spec, word)?, target }),
            MountType::Cache => Some(Mount { kind: self.cache(&spec, word)?, target }),
            MountType::Tmpfs => Some(Mount { kind: MountKind::Tmpfs { size: spec.size }, target }),
            MountType::Secret => self.secret(spec, target, word),
            MountType::Ssh => Some(self.ssh(spec, target)),
        }
    }

    fn absolute(&self, path: &str) -> String {
        clean(&if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.scope.workdir) })
    }

    fn bind(&mut self, spec: &Spec, word: &Word<'_>) -> Option<MountKind> {
        let from = match spec.from.as_ref().filter(|from| !from.is_empty()) {
            Some(from) => self.sources.resolve(word, from, self.diagnostics)?,
            None => CopyFrom::Context,
        };
        Some(MountKind::Bind { from, source: inner(spec), writable: spec.readonly == Some(false) })
    }

    fn cache(&mut self, spec: &Spec, word: &Word<'_>) -> Option<MountKind> {
        // BuildKit names a cache by its target as written, also by a relative one.
        let target = || clean(spec.target.as_deref().unwrap_or_default());
        let id = spec.id.clone().filter(|id| !id.is_empty()).unwrap_or_else(target);
        Some(MountKind::Cache {
            id: match &self.settings.cache_namespace {
                Some(namespace) => format!("{namespace}/{id}"),
                None => id,
            },
            sharing: match spec.sharing.as_deref() {
                Some("private") => Sharing::Private,
                Some("locked") => Sharing::Locked,
                _ => Sharing::Shared,
            },
            from: match spec.from.as_ref().filter(|from| !from.is_empty()) {
                Some(from) => Some((self.sources.resolve(word, from, self.diagnostics)?, inner(spec))),
                None => None,
            },
            readonly: spec.readonly == Some(true),
            mode: spec.mode.unwrap_or(CACHE_MODE),
            uid: spec.uid.unwrap_or_default().get(),
            gid: spec.gid.unwrap_or_default().get(),
        })
    }

    fn secret(&mut self, spec: Spec, target: Option<String>, word: &Word<'_>) -> Option<Mount> {
        let named = [spec.id, spec.source].into_iter().flatten().find(|id| !id.is_empty());
        let from_target = || target.as_deref().and_then(|target| target.rsplit('/').next()).map(str::to_owned);
        let Some(id) = named.or_else(from_target) else {
            self.diagnostics
                .push(Diagnostic::new(word.span, "one of id, target required for a secret").help("add id=name"));
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
            uid: spec.uid.unwrap_or_default().get(),
            gid: spec.gid.unwrap_or_default().get(),
        };
        Some(Mount { target, kind })
    }

    fn ssh(&mut self, spec: Spec, target: Option<String>) -> Mount {
        let target = target.unwrap_or_else(|| format!("/run/buildkit/ssh_agent.{}", self.sockets));
        self.sockets += 1;
        let kind = MountKind::Ssh {
            id: spec.id.filter(|id| !id.is_empty()).unwrap_or_else(|| "default".into()),
            required: spec.required,
            mode: spec.mode.unwrap_or(SSH_MODE),
            uid: spec.uid.unwrap_or_default().get(),
            gid: spec.gid.unwrap_or_default().get(),
        };
        Mount { target: Some(target), kind }
    }
}

fn origin(piece: &dockerfile::Piece) -> Origin {
    Origin { at: piece.at, line: piece.line, column: piece.column }
}

/// Returns the `source` of a mount as an absolute path in the file system that `from` names.
fn inner(spec: &Spec) -> String {
    clean(&format!("/{}", spec.source.as_deref().unwrap_or_default()))
}
