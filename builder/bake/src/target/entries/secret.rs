//! The entries of `secret`.

use serde::Serialize;

use super::{ListEntry, dedup_by_key, fields, write_fields};
use crate::value::{Type, Value, convert};

/// A secret: `id=token,src=file` or `id=token,env=NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Secret {
    /// The name by which RUN mounts it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The file with its value.
    #[serde(rename = "src", skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// The environment variable with its value.
    #[serde(rename = "env", skip_serializing_if = "String::is_empty")]
    pub variable: String,
}

impl ListEntry for Secret {
    fn parse(text: &str) -> Result<Secret, String> {
        let mut secret = Secret::default();
        let mut from_variable = false;
        for (key, value) in fields(text)? {
            match key.to_lowercase().as_str() {
                "type" => match value.as_str() {
                    "file" => {}
                    "env" => from_variable = true,
                    _ => return Err(format!("unsupported secret type \"{value}\"")),
                },
                "id" => secret.id = value,
                "source" | "src" => secret.file = value,
                "env" => secret.variable = value,
                other => return Err(format!("unexpected key '{other}' in '{text}'")),
            }
        }
        if from_variable && secret.variable.is_empty() {
            secret.variable = std::mem::take(&mut secret.file);
        }
        Ok(secret)
    }

    fn from_fields(value: Value) -> Result<Secret, String> {
        let Value::Object(mut fields) = convert(value, &Secret::kind())? else {
            return Err("a secret is null".into());
        };
        let mut text = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        Ok(Secret { id: text("id"), file: text("src"), variable: text("env") })
    }

    fn to_value(&self) -> Value {
        let field = |name: &str, value: &str| (name.to_owned(), Value::from(value));
        Value::Object([field("id", &self.id), field("src", &self.file), field("env", &self.variable)].into())
    }

    fn kind() -> Type {
        Type::optional_fields([("id", Type::String), ("src", Type::String), ("env", Type::String)])
    }

    fn dedup(entries: &mut Vec<Secret>) {
        dedup_by_key(entries, |secret| secret.id.clone());
    }
}

/// Writes the form that `--secret` reads.
impl std::fmt::Display for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let own = [("id", self.id.as_str()), ("src", self.file.as_str()), ("env", self.variable.as_str())];
        write_fields(out, own)
    }
}
