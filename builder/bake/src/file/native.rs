use std::sync::Arc;

use hcl_edit::{
    Span,
    structure::{Body as NativeBody, Structure},
};

use super::{Attribute, Block, Body};
use crate::{
    error::{Error, Place, SourceText},
    expression::Expression,
};

/// Reads HCL's own syntax.
pub(super) fn read(source: &Arc<SourceText>) -> Result<Body, Error> {
    let text = source.slice(0..usize::MAX);
    let parsed: NativeBody =
        hcl_edit::parser::parse_body(text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(|error| {
            let start = source.place(0..0);
            let place = Place { line: error.location().line(), column: error.location().column(), ..start };
            Error::new(error.message().replace('\n', "; ")).at(&place)
        })?;
    Ok(body(parsed, source))
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
                kind: block.ident.as_str().to_owned(),
                labels: block.labels.iter().map(|label| label.as_str().to_owned()).collect(),
                body: self::body(block.body, source),
                place,
            }),
        }
    }
    body
}
