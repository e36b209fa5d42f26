//! The JSON syntax of HCL: objects are blocks where blocks are expected, and strings are templates.

use std::sync::Arc;

use jsonc_parser::{
    CollectOptions, ParseOptions,
    ast::{Object, StringLit, Value as Json},
    common::Ranged,
    parse_to_ast,
};

use super::{Attribute, Block, BlockKind, Body};
use crate::{
    error::{Error, Place, SourceText},
    expression::{Code, Expression, Text},
    value::{Value, parse_number},
};

/// The kinds of blocks in a file, with the number of their labels.
static FILE: [(BlockKind, usize); 4] =
    [(BlockKind::Group, 1), (BlockKind::Target, 1), (BlockKind::Variable, 1), (BlockKind::Function, 1)];
/// The kinds of blocks in a variable.
static VARIABLE: [(BlockKind, usize); 1] = [(BlockKind::Validation, 0)];

/// The options for strict JSON (RFC 8259).
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads the JSON syntax.
pub(super) fn read(source: &Arc<SourceText>) -> Result<Body, Error> {
    let parsed = parse_to_ast(source.slice(0..usize::MAX), &CollectOptions::default(), &STRICT).map_err(|error| {
        let range = error.range();
        Error::new(error.kind().to_string()).at(&source.place(range.start..range.end))
    })?;
    let reader = JsonReader { source };
    match parsed.value {
        Some(Json::Object(object)) => reader.body(&object, &FILE),
        Some(other) => Err(Error::new("a bake file in JSON must be an object").at(&reader.place(&other))),
        None => Err(Error::new("the file is empty").at(&source.place(0..0))),
    }
}

struct JsonReader<'a> {
    source: &'a Arc<SourceText>,
}

impl JsonReader<'_> {
    fn place(&self, node: &impl Ranged) -> Place {
        let range = node.range();
        self.source.place(range.start..range.end)
    }

    fn body(&self, object: &Object<'_>, kinds: &[(BlockKind, usize)]) -> Result<Body, Error> {
        let mut body = Body::default();
        for property in &object.properties {
            let name = property.name.as_str();
            let place = self.place(property);
            match kinds.iter().find(|(kind, _)| kind.name() == name) {
                // A key with this name is a comment.
                _ if name == "//" => {}
                Some((kind, labels)) => self.blocks(kind, *labels, Vec::new(), &property.value, &mut body)?,
                None => {
                    let attribute =
                        Attribute { name: name.to_owned(), value: self.expression(&property.value)?, place };
                    body.attributes.push(attribute);
                }
            }
        }
        Ok(body)
    }

    /// Each label is a level of objects. Arrays repeat a level.
    fn blocks(
        &self,
        kind: &BlockKind,
        labels_left: usize,
        labels: Vec<String>,
        json: &Json<'_>,
        body: &mut Body,
    ) -> Result<(), Error> {
        let place = self.place(json);
        match json {
            Json::Array(array) => {
                for element in &array.elements {
                    self.blocks(kind, labels_left, labels.clone(), element, body)?;
                }
                Ok(())
            }
            Json::Object(object) if labels_left > 0 => {
                for property in &object.properties {
                    if property.name.as_str() == "//" {
                        continue;
                    }
                    let mut labels = labels.clone();
                    labels.push(property.name.as_str().to_owned());
                    self.blocks(kind, labels_left - 1, labels, &property.value, body)?;
                }
                Ok(())
            }
            Json::Object(object) => {
                let kinds: &[(BlockKind, usize)] = if *kind == BlockKind::Variable { &VARIABLE } else { &[] };
                let content = self.body(object, kinds)?;
                body.blocks.push(Block { kind: kind.clone(), labels, body: content, place });
                Ok(())
            }
            Json::NullKeyword(_) => Ok(()),
            _ => Err(Error::new(format!("{kind} must be an object")).at(&place)),
        }
    }

    fn expression(&self, json: &Json<'_>) -> Result<Expression, Error> {
        let place = self.place(json);
        let code = match json {
            Json::StringLit(StringLit { value, .. }) => return self.template(value, place),
            Json::NullKeyword(_) => Code::Literal(Value::NULL),
            Json::BooleanLit(literal) => Code::Literal(Value::Bool(literal.value)),
            Json::NumberLit(literal) => {
                let number = parse_number(literal.value);
                let number = number.ok_or_else(|| Error::new("a number has at most 4096 digits").at(&place))?;
                Code::Literal(Value::Number(number))
            }
            Json::Array(array) => {
                Code::Array(array.elements.iter().map(|element| self.expression(element)).collect::<Result<_, _>>()?)
            }
            Json::Object(object) => {
                let mut fields = Vec::with_capacity(object.properties.len());
                for property in &object.properties {
                    let key = property.name.as_str();
                    if key != "//" {
                        let place = self.place(property);
                        fields.push((self.template(key, place)?, self.expression(&property.value)?));
                    }
                }
                Code::Object(fields)
            }
        };
        Ok(Expression { code, text: Text { source: Arc::clone(self.source), inside: Some(place) } })
    }

    /// A string is a template; text without `${` and `%{` is itself.
    fn template(&self, text: &str, place: Place) -> Result<Expression, Error> {
        let template: hcl_edit::template::Template = text
            .parse()
            .map_err(|error: hcl_edit::parser::Error| Error::new(error.message().replace('\n', "; ")).at(&place))?;
        let source = SourceText::new(&place.file, text);
        Ok(Expression { code: Code::Template(Arc::new(template)), text: Text { source, inside: Some(place) } })
    }
}
