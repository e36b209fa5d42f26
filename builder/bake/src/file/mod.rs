//! Bake files as attributes and blocks, in both of HCL's syntaxes.
//!
//! *Takes* the text of a file. *Gives* its attributes and blocks with unevaluated expressions. *Must never know* what
//! they mean.

mod json;
mod native;

use crate::{
    error::{Error, File, Place, SourceText},
    expression::Expression,
};

/// The content of a file or of a block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) blocks: Vec<Block>,
}

/// `name = expression`.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) value: Expression,
    pub(crate) place: Place,
}

/// `kind "label" { ... }`.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) kind: String,
    pub(crate) labels: Vec<String>,
    pub(crate) body: Body,
    pub(crate) place: Place,
}

impl Body {
    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }
}

/// Reads a bake file. Its name decides the syntax; without a known ending, HCL's own is tried before JSON.
///
/// # Errors
/// The first syntax error.
pub(crate) fn read(file: &File) -> Result<Body, Error> {
    let source = SourceText::new(&file.name, &file.text);
    if file.name.ends_with(".json") {
        json::read(&source)
    } else if file.name.ends_with(".hcl") {
        native::read(&source)
    } else {
        native::read(&source).or_else(|error| json::read(&source).map_err(|_| error))
    }
}
