//! Types as they are written: `list(string)`, `object({a = number})`.

use hcl_edit::expr::{Expression as Native, FuncCall, ObjectKey};

use super::Expression;
use crate::{error::Error, value::Type};

/// The type that an expression names.
pub(crate) fn type_of(expression: &Expression) -> Result<Type, Error> {
    let code = expression.as_native();
    let written = code.as_deref().map(constraint);
    written.unwrap_or_else(|| Err(UNKNOWN.into())).map_err(|why| Error::new(why).at(&expression.place()))
}

const UNKNOWN: &str = "unknown type; write string, number, bool, any, or list(), set(), map(), tuple([]), object({})";

pub(super) fn constraint(code: &Native) -> Result<Type, String> {
    match code {
        Native::Parenthesis(inner) => constraint(inner.inner()),
        Native::Variable(name) => match name.as_str() {
            "string" => Ok(Type::String),
            "number" => Ok(Type::Number),
            "bool" => Ok(Type::Bool),
            "any" => Ok(Type::Dynamic),
            "list" | "set" | "map" => Err(format!("write the type of the elements: {}(string)", name.as_str())),
            "object" => Err("write the attributes: object({name = string})".into()),
            "tuple" => Err("write the types of the elements: tuple([string, number])".into()),
            _ => Err(UNKNOWN.into()),
        },
        Native::FuncCall(call) => called(call),
        _ => Err(UNKNOWN.into()),
    }
}

fn called(call: &FuncCall) -> Result<Type, String> {
    let name = call.name.name.as_str();
    let arguments: Vec<&Native> = call.args.iter().collect();
    let [argument] = arguments[..] else {
        return Err(format!("{name} takes one type"));
    };
    match name {
        "list" => Ok(Type::list(constraint(argument)?)),
        "set" => Ok(Type::Set(Box::new(constraint(argument)?))),
        "map" => Ok(Type::map(constraint(argument)?)),
        "tuple" => match argument {
            Native::Array(kinds) => Ok(Type::Tuple(kinds.iter().map(constraint).collect::<Result<_, _>>()?)),
            _ => Err("write the types of the elements: tuple([string, number])".into()),
        },
        "object" => {
            let Native::Object(written) = argument else {
                return Err("write the attributes: object({name = string})".into());
            };
            let mut fields = std::collections::BTreeMap::new();
            let mut optional = std::collections::BTreeSet::new();
            for (key, value) in written {
                let key = match key {
                    ObjectKey::Ident(name) | ObjectKey::Expression(Native::Variable(name)) => name.as_str().to_owned(),
                    ObjectKey::Expression(Native::String(name)) => name.value().clone(),
                    ObjectKey::Expression(_) => return Err("the name of an attribute must be a word".into()),
                };
                let kind = match value.expr() {
                    Native::FuncCall(call) if call.name.name.as_str() == "optional" => {
                        let [inner] = call.args.iter().collect::<Vec<_>>()[..] else {
                            return Err("optional takes one type".into());
                        };
                        optional.insert(key.clone());
                        constraint(inner)?
                    }
                    kind => constraint(kind)?,
                };
                fields.insert(key, kind);
            }
            Ok(Type::Object { fields, optional })
        }
        _ => Err(UNKNOWN.into()),
    }
}
