//! Resolves the images that the target needs, and takes the ONBUILD triggers of bases.

use super::{BaseOf, FilesFrom, Stages, Trigger};
use crate::plan::request::{ImageResolver, ResolveError};
use buildscope_dockerfile::expand::NoVariables;
use buildscope_dockerfile::{self as dockerfile, Diagnostic, Expander, Instruction, Kind, Span, closest};

impl Stages<'_> {
    /// Marks the stages that the target needs and resolves their images. The ONBUILD triggers of a base may refer to
    /// further stages.
    pub(in crate::plan) fn resolve(
        &mut self,
        target: usize,
        images: &dyn ImageResolver,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let mut waiting = vec![target];
        while let Some(stage) = waiting.pop() {
            if std::mem::replace(&mut self.list[stage].live, true) {
                continue;
            }
            self.open(stage, images, diagnostics);
            waiting.extend(self.needs(stage).into_iter().map(|(other, _)| other));
            let this = &self.list[stage];
            let words: Vec<(String, Span)> = this.froms().map(|(word, _)| (word.text.to_string(), word.span)).collect();
            let expander = Expander::new(self.escape);
            for (word, span) in words {
                if !expander.word(&word, &NoVariables).is_ok_and(|text| text == word) {
                    diagnostics.push(variable(span));
                    continue;
                }
                if let FilesFrom::Image(image) = self.source(&word, span, diagnostics) {
                    if self.images.contains_key(&image) {
                        continue;
                    }
                    match images.resolve(&image, &self.target) {
                        Ok(found) => {
                            self.images.insert(image, found);
                        }
                        Err(error) => diagnostics.push(self.unresolved(&word, span, &error)),
                    }
                }
            }
        }
    }

    /// Resolves the base of a stage and parses its triggers.
    fn open(&mut self, stage: usize, images: &dyn ImageResolver, diagnostics: &mut Vec<Diagnostic>) {
        let this = &self.list[stage];
        match &this.base {
            BaseOf::Image(image) => match images.resolve(image, &this.platform) {
                Ok(found) => {
                    let triggers = foreign_triggers(&found.config.config.on_build, this.from, diagnostics);
                    let this = &mut self.list[stage];
                    this.triggers = triggers;
                    this.resolved = Some(found);
                }
                Err(error) => {
                    let diagnostic = self.unresolved(&this.base_name, this.head.base.span, &error);
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
            BaseOf::Target(end) => {
                let image = end.scope.config.image();
                let triggers = foreign_triggers(&image.config.on_build, this.from, diagnostics);
                self.list[stage].triggers = triggers;
            }
            BaseOf::Scratch | BaseOf::Context(_) => {}
        }
    }

    fn unresolved(&self, word: &str, span: Span, error: &ResolveError) -> Diagnostic {
        let diagnostic = Diagnostic::new(span, format!("{word}: {error}"));
        if let ResolveError::Failed(_) = error {
            return diagnostic.label("this image could not be prepared");
        }
        let diagnostic = diagnostic.label("no stage above has this name, and no image was found");
        match closest(word, self.names()) {
            Some(name) => diagnostic.help(format!("did you mean the stage {name}?")),
            None => diagnostic.help("check that the name is right, and that the image exists for this platform"),
        }
    }
}

/// Returns the error of a variable in `--from`. BuildKit must know the dependencies of stages before it expands
/// variables.
fn variable(span: Span) -> Diagnostic {
    let message = "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround";
    Diagnostic::new(span, message).label("a variable").help("write FROM $image AS name above, and --from=name here")
}

/// Parses the ONBUILD triggers of an image that is the base of `from`.
fn foreign_triggers<'t>(
    texts: &[String],
    from: &Instruction<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Trigger<'t>> {
    let mut triggers = Vec::new();
    for text in texts {
        match dockerfile::parse_trigger(text) {
            Ok(instruction) => {
                triggers.push(Trigger { instruction: at(instruction, from), text: text.clone(), foreign: true });
            }
            Err(error) => diagnostics.push(
                Diagnostic::new(from.span, format!("{error} in the base image's trigger `ONBUILD {text}`"))
                    .label("this image cannot be a base")
                    .help("build the base image again without that ONBUILD"),
            ),
        }
    }
    triggers
}

/// Moves a trigger to the position of the FROM whose base has it.
fn at<'t>(instruction: Instruction<'t>, from: &Instruction<'_>) -> Instruction<'t> {
    Instruction { span: from.span, lines: from.lines, comments: (0, 0), ..instruction }
}
