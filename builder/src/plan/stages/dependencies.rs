//! The stages on which a stage depends.

use super::{BaseOf, FilesFrom, StageOf, Stages};
use buildscope_dockerfile::{Diagnostic, Instruction, Kind, Span, Word, mount};

impl Stages<'_> {
    /// Reports stages that depend on themselves, including those that the target does not need.
    pub(in crate::plan) fn refuse_cycles(&self, diagnostics: &mut Vec<Diagnostic>) {
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

    /// Returns the stages on which a stage depends, with the positions of the references.
    pub(super) fn needs(&self, stage: usize) -> Vec<(usize, Span)> {
        let this = &self.list[stage];
        let mut needs = Vec::new();
        if let BaseOf::Stage(base) = this.base {
            needs.push((base, this.head.base.span));
        }
        if let (Some(after), Some(word)) = (this.after, &this.head.after) {
            needs.push((after, word.span));
        }
        let mut ignored = Vec::new();
        for (word, _) in this.froms() {
            if let FilesFrom::Stage(source) = self.source(&word.text, word.span, &mut ignored) {
                needs.push((source, word.span));
            }
        }
        needs
    }
}

impl<'a> StageOf<'a> {
    /// Returns the `from` words of all instructions, each with its instruction.
    pub(super) fn froms(&self) -> impl Iterator<Item = (Word<'a>, &Instruction<'a>)> {
        let triggers = self.triggers.iter().flat_map(|trigger| {
            let words = froms(&trigger.instruction).into_iter();
            let at_from = |word: Word<'a>| if trigger.foreign { Word { span: self.from.span, ..word } } else { word };
            words.map(|word| (at_from(word), &trigger.instruction)).collect::<Vec<_>>()
        });
        let own = self
            .body
            .iter()
            .flat_map(|instruction| froms(instruction).into_iter().map(move |word| (word, instruction)));
        triggers.chain(own)
    }
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
