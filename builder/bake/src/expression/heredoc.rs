//! Removes the indentation that all lines of a heredoc have.

use hcl_edit::template::{Directive, Element, Template};

use super::trim::{Trim, around};

/// Removes the smallest indentation of all lines. A line break that a `~` trims starts no line, and blank lines do not
/// count.
pub(super) fn dedent(template: &mut Template) {
    let mut lines = HeredocLines { at_start: true, smallest: usize::MAX };
    lines.visit(template, Trim::default(), &mut |lines, piece| {
        lines.smallest = lines.smallest.min(piece.len() - piece.trim_start().len());
        0
    });
    let smallest = if lines.smallest == usize::MAX { 0 } else { lines.smallest };
    let mut lines = HeredocLines { at_start: true, smallest };
    lines.visit(template, Trim::default(), &mut |lines, piece| {
        lines.smallest.min(piece.len() - piece.trim_start().len())
    });
}

struct HeredocLines {
    at_start: bool,
    smallest: usize,
}

/// A function for the text at the start of a line. It returns the number of bytes to remove.
type Edit<'e> = &'e mut dyn FnMut(&mut HeredocLines, &str) -> usize;

impl HeredocLines {
    fn visit(&mut self, template: &mut Template, outer: Trim, edit: Edit<'_>) {
        let trims: Vec<Trim> = {
            let elements: Vec<&Element> = template.iter().collect();
            (0..elements.len()).map(|index| around(&elements, index, outer)).collect()
        };
        for (element, trim) in template.iter_mut().zip(trims) {
            match element {
                Element::Literal(literal) => {
                    let text = literal.as_str().to_owned();
                    **literal = self.literal(&text, trim, edit);
                }
                Element::Interpolation(_) => self.other(edit),
                Element::Directive(directive) => {
                    self.other(edit);
                    self.directive(directive, edit);
                }
            }
        }
    }

    /// An expression at the start of a line means that the line has no indentation.
    fn other(&mut self, edit: Edit<'_>) {
        if std::mem::take(&mut self.at_start) {
            edit(self, "");
        }
    }

    fn literal(&mut self, text: &str, trim: Trim, edit: Edit<'_>) -> String {
        let pieces: Vec<&str> = text.split_inclusive('\n').collect();
        let mut output = String::new();
        for (index, piece) in pieces.iter().enumerate() {
            let mut seen = *piece;
            if trim.start && index == 0 {
                seen = seen.trim_start();
            }
            if trim.end && index + 1 == pieces.len() && !piece.ends_with('\n') {
                seen = seen.trim_end();
            }
            let blank = seen.trim_start().is_empty() && seen.ends_with('\n');
            let removed = if std::mem::take(&mut self.at_start) && !blank { edit(self, seen) } else { 0 };
            output.push_str(&piece[removed.min(piece.len())..]);
            self.at_start = seen.ends_with('\n');
        }
        output
    }

    fn directive(&mut self, directive: &mut Directive, edit: Edit<'_>) {
        match directive {
            Directive::If(choice) => {
                let end = choice.endif_expr.strip.strip_start();
                let yes_end = choice.else_expr.as_ref().map_or(end, |no| no.strip.strip_start());
                let yes = Trim { start: choice.if_expr.strip.strip_end(), end: yes_end };
                self.visit(&mut choice.if_expr.template, yes, edit);
                if let Some(no) = &mut choice.else_expr {
                    self.other(edit);
                    let trim = Trim { start: no.strip.strip_end(), end };
                    self.visit(&mut no.template, trim, edit);
                }
            }
            Directive::For(repetition) => {
                let start = repetition.for_expr.strip.strip_end();
                let trim = Trim { start, end: repetition.endfor_expr.strip.strip_start() };
                self.visit(&mut repetition.for_expr.template, trim, edit);
            }
        }
        self.other(edit);
    }
}
