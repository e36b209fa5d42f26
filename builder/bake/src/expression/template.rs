//! Templates: quoted strings and heredocs with `${...}` and `%{...}`.

use hcl_edit::template::{Directive, Element, HeredocTemplate, Template};

use super::{
    Evaluation, Text,
    evaluate::loop_locals,
    heredoc,
    trim::{Trim, around},
};
use crate::{
    error::Error,
    value::{Type, Value, check_length, convert},
};

/// The extent to which a `~` trims.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TrimReach {
    /// All white space of a quoted string.
    Whole,
    /// Up to the end of a line, in heredocs and JSON: there the reference reads each line as a separate literal.
    Line,
}

impl Text {
    /// The value of a template. One that is a single interpolation keeps the type of its expression.
    pub(super) fn unwrapped(&self, template: &Template, environment: Evaluation<'_>) -> Result<Value, Error> {
        match template.as_single_element() {
            Some(Element::Interpolation(interpolation)) => self.evaluate(&interpolation.expr, environment),
            _ => {
                let mut text = String::new();
                let reach = if self.inside.is_some() { TrimReach::Line } else { TrimReach::Whole };
                self.append(template, Trim::default(), reach, environment, &mut text)?;
                Ok(Value::String(text))
            }
        }
    }

    /// The text of a heredoc. `<<-` removes the indentation that all lines have.
    pub(super) fn heredoc(&self, written: &HeredocTemplate, environment: Evaluation<'_>) -> Result<Value, Error> {
        let flush = self.source.slice(hcl_edit::Span::span(written).unwrap_or(0..0)).starts_with("<<-");
        let raw = hcl_edit::Span::span(&written.template).map(|span| self.source.slice(span));
        let mut text = String::new();
        // The parser dedents in another way than the reference, so the text is read again.
        match raw.filter(|_| flush).and_then(|raw| raw.parse::<Template>().ok()) {
            Some(mut template) => {
                heredoc::dedent(&mut template);
                self.append(&template, Trim::default(), TrimReach::Line, environment, &mut text)?;
            }
            None => self.append(&written.template, Trim::default(), TrimReach::Line, environment, &mut text)?,
        }
        Ok(Value::String(text))
    }

    fn append(
        &self,
        template: &Template,
        trim: Trim,
        reach: TrimReach,
        environment: Evaluation<'_>,
        text: &mut String,
    ) -> Result<(), Error> {
        let elements: Vec<&Element> = template.iter().collect();
        for (index, element) in elements.iter().enumerate() {
            match element {
                Element::Literal(literal) => {
                    let trim = around(&elements, index, trim);
                    text.push_str(trimmed(literal.as_str(), trim, reach));
                }
                Element::Interpolation(interpolation) => {
                    let place = self.place(&interpolation.expr);
                    let value = self.evaluate(&interpolation.expr, environment)?;
                    match convert(value, &Type::String) {
                        Ok(Value::String(part)) => text.push_str(&part),
                        Ok(_) => {
                            return Err(Error::new("null in a template; give it a value or use coalesce").at(&place));
                        }
                        Err(why) => return Err(Error::new(format!("value in a template: {why}")).at(&place)),
                    }
                }
                Element::Directive(directive) => self.directive(directive, reach, environment, text)?,
            }
            check_length(text.len()).map_err(Error::new)?;
        }
        Ok(())
    }

    fn directive(
        &self,
        directive: &Directive,
        reach: TrimReach,
        environment: Evaluation<'_>,
        text: &mut String,
    ) -> Result<(), Error> {
        match directive {
            Directive::If(choice) => {
                let yes = &choice.if_expr;
                let place = self.place(&yes.cond_expr);
                let condition = convert(self.evaluate(&yes.cond_expr, environment)?, &Type::Bool);
                let end = choice.endif_expr.strip.strip_start();
                match condition.map_err(|why| Error::new(why).at(&place))? {
                    Value::Bool(true) => {
                        let end = choice.else_expr.as_ref().map_or(end, |no| no.strip.strip_start());
                        let trim = Trim { start: yes.strip.strip_end(), end };
                        self.append(&yes.template, trim, reach, environment, text)
                    }
                    Value::Bool(false) => match &choice.else_expr {
                        None => Ok(()),
                        Some(no) => {
                            let trim = Trim { start: no.strip.strip_end(), end };
                            self.append(&no.template, trim, reach, environment, text)
                        }
                    },
                    _ => Err(Error::new("the condition of %{ if } is null").at(&place)),
                }
            }
            Directive::For(repetition) => {
                let intro = &repetition.for_expr;
                let collection = self.evaluate(&intro.collection_expr, environment)?;
                let pairs = collection.pairs().ok_or_else(|| {
                    Error::new("%{ for } needs a list, a map or an object").at(&self.place(&intro.collection_expr))
                })?;
                let trim = Trim { start: intro.strip.strip_end(), end: repetition.endfor_expr.strip.strip_start() };
                for (index, value) in pairs {
                    let key = intro.key_var.as_deref();
                    let locals = loop_locals(environment.locals, key, &intro.value_var, index, value);
                    self.append(&intro.template, trim, reach, environment.with(&locals), text)?;
                }
                Ok(())
            }
        }
    }
}

fn trimmed(literal: &str, trim: Trim, reach: TrimReach) -> &str {
    let mut literal = literal;
    if trim.start {
        let line = literal.find('\n').filter(|_| reach == TrimReach::Line).map_or(literal.len(), |newline| newline + 1);
        let kept = literal[..line].trim_start().len();
        literal = &literal[line - kept..];
    }
    if trim.end {
        let line = literal.rfind('\n').filter(|_| reach == TrimReach::Line).map_or(0, |newline| newline + 1);
        let kept = literal[line..].trim_end().len();
        literal = &literal[..line + kept];
    }
    literal
}
