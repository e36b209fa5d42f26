//! The entries of `ssh`.

use serde::Serialize;

use super::{ListEntry, dedup_by_key};
use crate::value::{Type, Value, convert};

/// An SSH agent or keys: `default`, `id=path,path`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Ssh {
    /// The name by which RUN mounts it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Sockets or keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
}

impl ListEntry for Ssh {
    fn parse(text: &str) -> Result<Ssh, String> {
        let (id, paths) = text.split_once('=').map_or((text, None), |(id, paths)| (id, Some(paths)));
        let paths = paths.map(|paths| paths.split(',').map(str::to_owned).collect()).unwrap_or_default();
        Ok(Ssh { id: id.to_owned(), paths })
    }

    fn from_fields(value: Value) -> Result<Ssh, String> {
        let Value::Object(mut fields) = convert(value, &Ssh::kind())? else {
            return Err("an SSH entry is null".into());
        };
        let id = match fields.remove("id") {
            Some(Value::String(id)) => id,
            _ => String::new(),
        };
        let mut paths = Vec::new();
        for path in fields.remove("paths").as_ref().and_then(Value::elements).unwrap_or_default() {
            match path {
                Value::String(path) => paths.push(path.clone()),
                _ => return Err("a path is null".into()),
            }
        }
        Ok(Ssh { id, paths })
    }

    fn to_value(&self) -> Value {
        let fields = [
            ("id".to_owned(), Value::from(self.id.as_str())),
            ("paths".to_owned(), Value::strings(self.paths.clone())),
        ];
        Value::Object(fields.into())
    }

    fn kind() -> Type {
        Type::optional_fields([("id", Type::String), ("paths", Type::list(Type::String))])
    }

    fn dedup(entries: &mut Vec<Ssh>) {
        dedup_by_key(entries, |ssh| ssh.id.clone());
    }
}

/// Writes the form that `--ssh` reads.
impl std::fmt::Display for Ssh {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.id)?;
        if self.paths.is_empty() { Ok(()) } else { write!(out, "={}", self.paths.join(",")) }
    }
}
