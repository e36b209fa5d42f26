//! Finds the stages of a file, and what the names in them refer to: stages, images and contexts.

mod bases;
mod dependencies;
mod foreign;

use super::End;
use super::request::{LowerRequest, NamedContext, ResolvedBase};
use super::words::expanded;
use buildscope_dockerfile::{Diagnostic, Dockerfile, Expander, From, Instruction, Kind, Span, Variables, Word};
use buildscope_oci::{Platform, Reference};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The longest name of a base, in bytes. Names of images have at most a few hundred characters.
const LONGEST_NAME: usize = 4096;

/// A stage as written in the file.
pub(super) struct StageOf<'a> {
    pub(super) from: &'a Instruction<'a>,
    pub(super) head: &'a From<'a>,
    /// The name in lower case.
    pub(super) name: Option<String>,
    pub(super) body: &'a [Instruction<'a>],
    /// The expanded name of the base.
    pub(super) base_name: String,
    pub(super) base: BaseOf,
    /// The stage that must be built before this one starts (`--after`).
    pub(super) after: Option<usize>,
    pub(super) platform: Platform,
    /// The image of the base. It is set once the target is known to need the stage.
    pub(super) resolved: Option<ResolvedBase>,
    /// The ONBUILD triggers of the base.
    pub(super) triggers: Vec<Trigger<'a>>,
    /// Whether the target needs the stage.
    pub(super) live: bool,
}

/// An ONBUILD trigger of a base.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Trigger<'a> {
    pub(super) instruction: Instruction<'a>,
    /// The text that the image stores.
    pub(super) text: String,
    /// Whether the trigger comes from an image and not from this file. Then its errors are reported at the FROM.
    pub(super) foreign: bool,
}

/// The base of a stage.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum BaseOf {
    Scratch,
    Stage(usize),
    /// The reference that is passed to the resolver.
    Image(String),
    Context(String),
    Target(Arc<End>),
}

/// The meaning of `from=`.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum FilesFrom {
    Scratch,
    Stage(usize),
    Image(String),
    Context(String),
    Target(Arc<End>),
}

/// Returns the expanded name of the base of a FROM. If it is blank or cannot be expanded, reports an error and returns
/// the empty name.
fn base_name(
    head: &From<'_>,
    expander: &Expander,
    globals: &dyn Variables,
    diagnostics: &mut Vec<Diagnostic>,
) -> String {
    let name = expanded(expander, &head.base, globals, diagnostics);
    if name.as_deref() == Some("") {
        diagnostics.push(
            Diagnostic::new(head.base.span, format!("base name ({}) should not be blank", head.base.text))
                .label("expands to nothing")
                .help("give the ARG a default above the first FROM, or write ${NAME:-image}"),
        );
    }
    name.filter(|name| {
        let short = name.len() <= LONGEST_NAME;
        if !short {
            diagnostics.push(
                Diagnostic::new(head.base.span, format!("base name is longer than {LONGEST_NAME} bytes"))
                    .help("write the name of an image or a stage"),
            );
        }
        short
    })
    .unwrap_or_default()
}

/// Returns the platform that `--platform` of a FROM names. If it is invalid, reports an error and returns `None`.
fn platform(
    word: &Word<'_>,
    expander: &Expander,
    globals: &dyn Variables,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Platform> {
    let text = expanded(expander, word, globals, diagnostics)?;
    let (message, label) = match text.parse() {
        Ok(platform) => return Some(platform),
        Err(_) if text.is_empty() => {
            (format!("empty platform value from expression {}", word.text), "expands to nothing")
        }
        Err(error) => (format!("failed to parse platform {}: {error}", word.text), "invalid platform"),
    };
    let help = "write --platform=linux/amd64 or --platform=$BUILDPLATFORM";
    diagnostics.push(Diagnostic::new(word.span, message).label(label).help(help));
    None
}

/// The stages of a file.
pub(super) struct Stages<'a> {
    pub(super) list: Vec<StageOf<'a>>,
    /// The last stage with each name.
    by_name: BTreeMap<String, usize>,
    contexts: BTreeMap<String, NamedContext>,
    escape: char,
    /// The platform of the build. The images of `--from` and of mounts are for it, whatever the platform of the stage is.
    target: Platform,
    /// The images that are sources of COPY or of mounts, by the reference that was passed to the resolver.
    pub(super) images: BTreeMap<String, ResolvedBase>,
}

impl<'a> Stages<'a> {
    /// Finds the stages of a file. `globals` are the variables of FROM lines.
    pub(super) fn find(
        file: &'a Dockerfile<'_>,
        request: &LowerRequest,
        globals: &dyn Variables,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let starts: Vec<usize> =
            (0..file.instructions.len()).filter(|&i| matches!(file.instructions[i].kind, Kind::From(_))).collect();
        let contexts = request.contexts.iter().map(|(name, context)| (familiar(name), context.clone())).collect();
        let mut stages = Self {
            list: Vec::with_capacity(starts.len()),
            by_name: BTreeMap::new(),
            contexts,
            escape: file.escape,
            target: request.platform.clone(),
            images: BTreeMap::new(),
        };
        let expander = Expander::new(file.escape);
        for (i, &start) in starts.iter().enumerate() {
            let from = &file.instructions[start];
            let Kind::From(head) = &from.kind else { continue };
            let end = starts.get(i + 1).copied().unwrap_or(file.instructions.len());
            let base_name = base_name(head, &expander, globals, diagnostics);
            let given = head.platform.as_ref().and_then(|word| platform(word, &expander, globals, diagnostics));
            let mut platform = given.unwrap_or_else(|| request.platform.clone());
            let name = head.name.as_ref().map(|name| name.to_lowercase());
            let mut body = &file.instructions[start + 1..end];
            let replaced =
                name.as_ref().and_then(|name| stages.contexts.get(name).map(|context| (name.clone(), context)));
            let base = match replaced {
                Some((name, context)) => {
                    body = &[];
                    match context {
                        NamedContext::Directory => BaseOf::Context(name),
                        NamedContext::Image(image) => BaseOf::Image(image.clone()),
                        NamedContext::Target(end) => {
                            platform = end.platform.clone();
                            BaseOf::Target(end.clone())
                        }
                    }
                }
                // A base is looked up as written, so FROM finds a stage only by its name in lower case.
                None => match stages.by_name.get(&base_name) {
                    Some(&stage) => {
                        platform = stages.list[stage].platform.clone();
                        BaseOf::Stage(stage)
                    }
                    None => match stages.outside(&base_name, head.base.span, diagnostics) {
                        FilesFrom::Scratch | FilesFrom::Stage(_) => BaseOf::Scratch,
                        FilesFrom::Image(image) => BaseOf::Image(image),
                        FilesFrom::Context(name) => BaseOf::Context(name),
                        FilesFrom::Target(end) => {
                            platform = end.platform.clone();
                            BaseOf::Target(end)
                        }
                    },
                },
            };
            let after = head.after.as_ref().and_then(|word| stages.after(word, &expander, globals, diagnostics));
            stages.list.push(StageOf {
                from,
                head,
                name: name.clone(),
                body,
                base_name,
                base,
                after,
                platform,
                resolved: None,
                triggers: Vec::new(),
                live: false,
            });
            if let Some(name) = name {
                stages.by_name.insert(name, i);
            }
        }
        stages
    }

    /// Returns the stage that `--after` names, among those above.
    fn after(
        &self,
        word: &Word<'_>,
        expander: &Expander,
        globals: &dyn Variables,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<usize> {
        let name = expanded(expander, word, globals, diagnostics)?;
        let by_index = || name.parse::<usize>().ok().filter(|&index| index < self.list.len());
        let found = self.by_name.get(&name.to_lowercase()).copied().or_else(by_index);
        if found.is_none() {
            let message = format!("FROM --after={}: there is no stage {name:?} above", word.text);
            let help = "name a stage above this one, or its index, counted from 0";
            let diagnostic = Diagnostic::new(word.span, message).label("not an earlier stage").help(help);
            diagnostics.push(diagnostic.did_you_mean(&name, self.names()));
        }
        found
    }

    /// Returns the meaning of a name that does not name a stage.
    fn outside(&self, name: &str, span: Span, diagnostics: &mut Vec<Diagnostic>) -> FilesFrom {
        if name == "scratch" {
            return FilesFrom::Scratch;
        }
        let key = familiar(name);
        match self.contexts.get(&key) {
            Some(NamedContext::Directory) => return FilesFrom::Context(key),
            Some(NamedContext::Image(image)) => return FilesFrom::Image(image.clone()),
            Some(NamedContext::Target(end)) => return FilesFrom::Target(end.clone()),
            None => {}
        }
        if let (Err(error), false) = (name.parse::<Reference>(), name.is_empty()) {
            diagnostics.push(
                Diagnostic::new(span, format!("failed to parse stage name {name:?}: {error}"))
                    .label("neither a stage nor an image")
                    .did_you_mean(name, self.names()),
            );
        }
        FilesFrom::Image(name.to_owned())
    }

    /// Returns the meaning of the `from` of a COPY or of a mount.
    pub(super) fn source(&self, word: &str, span: Span, diagnostics: &mut Vec<Diagnostic>) -> FilesFrom {
        if let Some(&stage) = self.by_name.get(&word.to_lowercase()) {
            return FilesFrom::Stage(stage);
        }
        if let Ok(index) = word.parse::<usize>() {
            if index < self.list.len() {
                return FilesFrom::Stage(index);
            }
            diagnostics.push(
                Diagnostic::new(span, format!("invalid stage index {index}"))
                    .label(format!("there are {} stages, counted from 0", self.list.len()))
                    .help("name the stage: FROM image AS name"),
            );
            return FilesFrom::Scratch;
        }
        self.outside(word, span, diagnostics)
    }

    /// Returns the stage that `--target` names. The default is the last stage.
    pub(super) fn target(&self, target: Option<&str>, diagnostics: &mut Vec<Diagnostic>) -> usize {
        let last = self.list.len().saturating_sub(1);
        let Some(target) = target.filter(|target| !target.is_empty()) else { return last };
        let by_index = || target.parse::<usize>().ok().filter(|&index| index < self.list.len());
        match self.by_name.get(&target.to_lowercase()).copied().or_else(by_index) {
            Some(stage) => stage,
            None => {
                let diagnostic = Diagnostic::without_position(format!("target stage {target:?} could not be found"))
                    .did_you_mean(target, self.names());
                diagnostics.push(match diagnostic.help {
                    Some(_) => diagnostic,
                    None => diagnostic.help(match self.names().collect::<Vec<_>>() {
                        names if names.is_empty() => "name a stage of this file: FROM image AS name".into(),
                        names => format!("use one of the stages {}", names.join(", ")),
                    }),
                });
                last
            }
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Returns the name of a stage, or the index of a stage without a name.
    pub(super) fn label(&self, stage: usize) -> String {
        self.list[stage].name.clone().unwrap_or_else(|| stage.to_string())
    }
}

/// Returns the name by which contexts are compared.
fn familiar(name: &str) -> String {
    name.parse::<Reference>().map_or_else(
        |_| name.to_lowercase(),
        |reference| match reference.digest {
            Some(digest) => format!("{}@{digest}", reference.familiar()),
            None => reference.familiar(),
        },
    )
}

#[cfg(test)]
mod tests;
