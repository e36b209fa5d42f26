//! HCL's own syntax.

use std::sync::Arc;

use hcl_edit::{
    Span,
    structure::{Body as NativeBody, Structure},
};

use super::{Attribute, Block, BlockKind, Body};
use crate::{
    error::{Error, Place, SourceText},
    expression::Expression,
};

/// Reads HCL's own syntax.
pub(super) fn read(source: &Arc<SourceText>) -> Result<Body, Error> {
    let text = source.slice(0..usize::MAX);
    if objects_take_too_long(text) {
        let message = "the objects have too many entries: more than some 10000 in one, or many of such a size";
        return Err(Error::new(message).at(&source.place(0..0)));
    }
    let parsed: NativeBody =
        hcl_edit::parser::parse_body(text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(|error| {
            let start = source.place(0..0);
            let place = Place { line: error.location().line(), column: error.location().column(), ..start };
            Error::new(error.message().replace('\n', "; ")).at(&place)
        })?;
    Ok(body(parsed, source))
}

/// The limit of [`objects_take_too_long`]: 22,000 commas and lines in one object.
const MAX_COMPARISONS: usize = 500_000_000;

/// Whether it takes too long to read the objects. The library compares each key with all keys before it in the same object.
///
/// Entries end with a comma or a line. Quotes in templates and heredocs confuse this count, which is an estimate.
fn objects_take_too_long(text: &str) -> bool {
    let (mut open, mut quoted, mut escaped): (Vec<(bool, usize)>, bool, bool) = (Vec::new(), false, false);
    let mut comparisons: usize = 0;
    for byte in text.bytes() {
        match byte {
            _ if std::mem::take(&mut escaped) => {}
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' | b'(' => open.push((byte == b'{', 0)),
            b'}' | b']' | b')' => {
                open.pop();
            }
            b',' | b'\n' => {
                if let Some((true, entries)) = open.last_mut() {
                    comparisons += *entries;
                    *entries += 1;
                }
            }
            _ => {}
        }
    }
    comparisons > MAX_COMPARISONS / 2
}

fn body(parsed: NativeBody, source: &Arc<SourceText>) -> Body {
    let mut body = Body::default();
    for structure in parsed {
        let place = source.place(structure.span().unwrap_or(0..0));
        match structure {
            Structure::Attribute(attribute) => body.attributes.push(Attribute {
                name: attribute.key.as_str().to_owned(),
                place,
                value: Expression::native(attribute.value, source),
            }),
            Structure::Block(block) => body.blocks.push(Block {
                kind: BlockKind::of(block.ident.as_str()),
                labels: block.labels.iter().map(|label| label.as_str().to_owned()).collect(),
                body: self::body(block.body, source),
                place,
            }),
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_many_entries_are_refused_before_they_are_read() {
        let object = |entries: usize| {
            let entries: String = (0..entries).map(|number| format!("a{number} = 1,\n")).collect();
            format!("x = {{ {entries} }}\n")
        };
        // A comma and a line for each entry.
        assert!(objects_take_too_long(&object(20_000)));
        assert!(objects_take_too_long(&object(2_000).repeat(100)));
        assert!(!objects_take_too_long(&object(2_000)));
        let list = format!("x = {{ a = [{}] }}\ny = \"{}\"\n", "1,\n".repeat(50_000), "{,".repeat(50_000));
        assert!(!objects_take_too_long(&list));
    }
}
