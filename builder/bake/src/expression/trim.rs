//! Trims white space of a template next to a `~`.

use hcl_edit::template::{Directive, Element, Strip};

/// The ends of a template literal that a neighbouring `~` trims.
#[derive(Clone, Copy, Default)]
pub(super) struct Trim {
    pub(super) start: bool,
    pub(super) end: bool,
}

/// The ends of the literal at `index` that its neighbours trim.
pub(super) fn around(elements: &[&Element], index: usize, outer: Trim) -> Trim {
    Trim {
        start: index.checked_sub(1).map_or(outer.start, |before| closing(elements[before]).strip_end()),
        end: elements.get(index + 1).map_or(outer.end, |after| opening(after).strip_start()),
    }
}

fn opening(element: &Element) -> Strip {
    match element {
        Element::Literal(_) => Strip::None,
        Element::Interpolation(interpolation) => interpolation.strip,
        Element::Directive(directive) => match directive.as_ref() {
            Directive::If(choice) => choice.if_expr.strip,
            Directive::For(repetition) => repetition.for_expr.strip,
        },
    }
}

fn closing(element: &Element) -> Strip {
    match element {
        Element::Literal(_) => Strip::None,
        Element::Interpolation(interpolation) => interpolation.strip,
        Element::Directive(directive) => match directive.as_ref() {
            Directive::If(choice) => choice.endif_expr.strip,
            Directive::For(repetition) => repetition.endfor_expr.strip,
        },
    }
}
