//! Finds the stages of a file, their references to stages, images and contexts, and the stages that the target needs.

use super::End;
use super::request::{ImageResolver, LowerRequest, NamedContext, ResolvedBase};
use buildscope_dockerfile::expand::NoVariables;
use buildscope_dockerfile::{
    self as dockerfile, Diagnostic, Dockerfile, Expander, From, Instruction, Kind, Span, Variables, Word, closest,
    mount,
};
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
pub(super) enum Source {
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
                        Source::Scratch | Source::Stage(_) => BaseOf::Scratch,
                        Source::Image(image) => BaseOf::Image(image),
                        Source::Context(name) => BaseOf::Context(name),
                        Source::Target(end) => {
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
    fn outside(&self, name: &str, span: Span, diagnostics: &mut Vec<Diagnostic>) -> Source {
        if name == "scratch" {
            return Source::Scratch;
        }
        let key = familiar(name);
        match self.contexts.get(&key) {
            Some(NamedContext::Directory) => return Source::Context(key),
            Some(NamedContext::Image(image)) => return Source::Image(image.clone()),
            Some(NamedContext::Target(end)) => return Source::Target(end.clone()),
            None => {}
        }
        if let (Err(error), false) = (name.parse::<Reference>(), name.is_empty()) {
            diagnostics.push(
                Diagnostic::new(span, format!("failed to parse stage name {name:?}: {error}"))
                    .label("neither a stage nor an image")
                    .did_you_mean(name, self.names()),
            );
        }
        Source::Image(name.to_owned())
    }

    /// Returns the meaning of the `from` of a COPY or of a mount.
    pub(super) fn source(&self, word: &str, span: Span, diagnostics: &mut Vec<Diagnostic>) -> Source {
        if let Some(&stage) = self.by_name.get(&word.to_lowercase()) {
            return Source::Stage(stage);
        }
        if let Ok(index) = word.parse::<usize>() {
            if index < self.list.len() {
                return Source::Stage(index);
            }
            diagnostics.push(
                Diagnostic::new(span, format!("invalid stage index {index}"))
                    .label(format!("there are {} stages, counted from 0", self.list.len()))
                    .help("name the stage: FROM image AS name"),
            );
            return Source::Scratch;
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

    /// Reports stages that depend on themselves, including those that the target does not need.
    pub(super) fn refuse_cycles(&self, diagnostics: &mut Vec<Diagnostic>) {
        // 0: not visited, 1: on the current path, 2: finished.
        let mut state = vec![0_u8; self.list.len()];
        for start in 0..self.list.len() {
            if state[start] != 0 {
                continue;
            }
            let mut path = vec![(start, self.needs(start).into_iter())];
            state[start] = 1;
            while let Some((stage, needs)) = path.last_mut() {
                let stage = *stage;
                match needs.next() {
                    None => {
                        state[stage] = 2;
                        path.pop();
                    }
                    Some((other, span)) if state[other] == 1 => {
                        let name = self.label(other);
                        diagnostics.push(
                            Diagnostic::new(span, format!("circular dependency detected on stage: {name}"))
                                .label(format!("stage {name} depends on itself"))
                                .help("take the files from an earlier stage"),
                        );
                    }
                    Some((other, _)) if state[other] == 0 => {
                        state[other] = 1;
                        path.push((other, self.needs(other).into_iter()));
                    }
                    Some(_) => {}
                }
            }
        }
    }

    /// Returns the name of a stage, or the index of a stage without a name.
    pub(super) fn label(&self, stage: usize) -> String {
        self.list[stage].name.clone().unwrap_or_else(|| stage.to_string())
    }

    /// Returns the stages on which a stage depends, with the positions of the references.
    fn needs(&self, stage: usize) -> Vec<(usize, Span)> {
        let this = &self.list[stage];
        let mut needs = Vec::new();
        if let BaseOf::Stage(base) = this.base {
            needs.push((base, this.head.base.span));
        }
        if let (Some(after), Some(word)) = (this.after, &this.head.after) {
            needs.push((after, word.span));
        }
        let mut ignored = Vec::new();
        for word in this.froms() {
            if let Source::Stage(source) = self.source(&word.text, word.span, &mut ignored) {
                needs.push((source, word.span));
            }
        }
        needs
    }

    /// Marks the stages that the target needs and resolves their images. The ONBUILD triggers of a base may refer to
    /// further stages.
    pub(super) fn resolve(&mut self, target: usize, images: &dyn ImageResolver, diagnostics: &mut Vec<Diagnostic>) {
        let mut waiting = vec![target];
        while let Some(stage) = waiting.pop() {
            if std::mem::replace(&mut self.list[stage].live, true) {
                continue;
            }
            self.open(stage, images, diagnostics);
            waiting.extend(self.needs(stage).into_iter().map(|(other, _)| other));
            let this = &self.list[stage];
            let words: Vec<(String, Span, Platform)> =
                this.froms().map(|word| (word.text.to_string(), word.span, this.platform.clone())).collect();
            let expander = Expander::new(self.escape);
            for (word, span, platform) in words {
                if !expander.word(&word, &NoVariables).is_ok_and(|text| text == word) {
                    diagnostics.push(variable(span));
                    continue;
                }
                if let Source::Image(image) = self.source(&word, span, diagnostics) {
                    if self.images.contains_key(&image) {
                        continue;
                    }
                    match images.resolve(&image, &platform) {
                        Ok(found) => {
                            self.images.insert(image, found);
                        }
                        Err(error) => diagnostics.push(self.unresolved(&word, span, &error.0)),
                    }
                }
            }
        }
    }

    /// Resolves the base of a stage and parses its triggers.
    fn open(&mut self, stage: usize, images: &dyn ImageResolver, diagnostics: &mut Vec<Diagnostic>) {
        let this = &self.list[stage];
        let span = this.from.span;
        match &this.base {
            BaseOf::Image(image) => match images.resolve(image, &this.platform) {
                Ok(found) => {
                    let mut triggers = Vec::new();
                    for text in &found.config.config.on_build {
                        match dockerfile::parse_trigger(text) {
                            Ok(instruction) => triggers.push(Trigger {
                                instruction: at(instruction, this.from),
                                text: text.clone(),
                                foreign: true,
                            }),
                            Err(error) => diagnostics.push(
                                Diagnostic::new(span, format!("{error} in the base image's trigger `ONBUILD {text}`"))
                                    .label("this image cannot be a base")
                                    .help("build the base image again without that ONBUILD"),
                            ),
                        }
                    }
                    let this = &mut self.list[stage];
                    this.triggers = triggers;
                    this.resolved = Some(found);
                }
                Err(error) => {
                    let diagnostic = self.unresolved(&this.base_name, this.head.base.span, &error.0);
                    diagnostics.push(diagnostic);
                }
            },
            &BaseOf::Stage(base) => {
                let from = this.from;
                let triggers = self.list[base].body.iter().filter_map(|instruction| match &instruction.kind {
                    Kind::Onbuild(onbuild) => Some(Trigger {
                        instruction: at(onbuild.instruction.clone(), from),
                        text: onbuild.text.clone(),
                        foreign: false,
                    }),
                    _ => None,
                });
                self.list[stage].triggers = triggers.collect();
            }
            BaseOf::Scratch | BaseOf::Context(_) | BaseOf::Target(_) => {}
        }
    }

    fn unresolved(&self, word: &str, span: Span, error: &str) -> Diagnostic {
        let diagnostic = Diagnostic::new(span, format!("{word}: {error}"))
            .label("no stage above has this name, and no image was found");
        match closest(word, self.names()) {
            Some(name) => diagnostic.help(format!("did you mean the stage {name}?")),
            None => diagnostic.help("check that the name is right, and that the image exists for this platform"),
        }
    }
}

impl<'a> StageOf<'a> {
    /// Returns the `from` words of all instructions.
    fn froms(&self) -> impl Iterator<Item = Word<'a>> {
        let triggers = self.triggers.iter().flat_map(|trigger| {
            let at_from = |word: Word<'a>| if trigger.foreign { Word { span: self.from.span, ..word } } else { word };
            froms(&trigger.instruction).into_iter().map(at_from)
        });
        triggers.chain(self.body.iter().flat_map(froms))
    }
}

/// Returns the error of a variable in `--from`. BuildKit must know the dependencies of stages before it expands
/// variables.
fn variable(span: Span) -> Diagnostic {
    let message = "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround";
    Diagnostic::new(span, message).label("a variable").help("write FROM $image AS name above, and --from=name here")
}

/// Moves a trigger to the position of the FROM whose base has it.
fn at<'t>(instruction: Instruction<'t>, from: &Instruction<'_>) -> Instruction<'t> {
    Instruction { span: from.span, lines: from.lines, comments: (0, 0), ..instruction }
}

/// Returns the `from` words of an instruction.
fn froms<'t>(instruction: &Instruction<'t>) -> Vec<Word<'t>> {
    match &instruction.kind {
        Kind::Copy(copy) => copy.from().cloned().into_iter().collect(),
        Kind::Run(run) => run
            .mounts()
            .filter_map(|word| mount::Spec::from_of(word).map(|from| Word { text: from.into(), span: word.span }))
            .collect(),
        _ => Vec::new(),
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

/// Expands a word. If it cannot be expanded, reports an error at its characters and returns `None`.
pub(super) fn expanded(
    expander: &Expander,
    word: &Word<'_>,
    variables: &dyn Variables,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<String> {
    match expander.word(&word.text, variables) {
        Ok(text) => Some(text),
        Err(error) => {
            diagnostics.push(unexpandable(word, &error));
            None
        }
    }
}

/// Returns the error of an owner or a user with an id that is out of range.
pub(super) fn out_of_range(word: &Word<'_>, what: &str, text: &str, error: &dockerfile::BadId) -> Diagnostic {
    Diagnostic::new(word.span, format!("invalid {what} {text:?}: {error}"))
        .label("the kernel treats the id 4294967295 as \"unchanged\", which would be root")
        .help("write an id from 0 to 2147483647, or a name of the image's /etc/passwd or /etc/group")
}

/// Returns the error of a word that cannot be expanded.
pub(super) fn unexpandable(word: &Word<'_>, error: &dockerfile::ExpandError) -> Diagnostic {
    let exact = word.span.range().len() == word.text.len() && word.text.is_char_boundary(error.at());
    let span = if exact { Span::new(word.span.range().start + error.at(), word.span.range().end) } else { word.span };
    Diagnostic::new(span, format!("failed to process {:?}: {error}", word.text))
        .label("the error starts here")
        .help(error.help())
}

#[cfg(test)]
mod tests;
