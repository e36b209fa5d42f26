//! Bake files as attributes and blocks, in both of HCL's syntaxes.
//!
//! *Takes* the text of a file. *Gives* its attributes and blocks with unevaluated expressions. *Must never know* what
//! they mean.

mod json;
mod native;

use std::fmt;

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
    pub(crate) kind: BlockKind,
    pub(crate) labels: Vec<String>,
    pub(crate) body: Body,
    pub(crate) place: Place,
}

/// The kind of a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BlockKind {
    Group,
    Target,
    Variable,
    Function,
    /// A condition for the value of a variable.
    Validation,
    /// A kind without a meaning in bake files. Such blocks are ignored.
    Other(String),
}

impl BlockKind {
    /// The kind of this name.
    pub(crate) fn of(name: &str) -> Self {
        let known = [Self::Group, Self::Target, Self::Variable, Self::Function, Self::Validation];
        known.into_iter().find(|kind| kind.name() == name).unwrap_or_else(|| Self::Other(name.to_owned()))
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Group => "group",
            Self::Target => "target",
            Self::Variable => "variable",
            Self::Function => "function",
            Self::Validation => "validation",
            Self::Other(name) => name,
        }
    }

    /// Whether expressions refer to blocks of this kind, as in `target.NAME.FIELD`. A variable cannot have the name of such a kind.
    pub(crate) fn is_referred_to(&self) -> bool {
        matches!(self, Self::Group | Self::Target)
    }
}

impl fmt::Display for BlockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
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
