//! Edits of a context between two builds.

use crate::{Scenario, WorkloadError};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// One change to one file of the context.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The scenario of the edit: `edit` or `dependency`.
    pub scenario: Scenario,
    /// The file, relative to the context.
    pub path: PathBuf,
    /// The change of the file.
    #[serde(flatten)]
    pub change: FileChange,
}

/// A change of a file. `{n}` in a text is replaced by the number of the edit, so that every edit is different.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileChange {
    /// Appends this text.
    Append(String),
    /// Replaces the content.
    Write(String),
    /// Replaces the text between the first two marks by the third text.
    Replace([String; 3]),
}

impl Edit {
    /// Applies the edit for the `n`th time.
    pub fn apply(&self, context: &Path, n: u32) -> Result<(), WorkloadError> {
        let path = context.join(&self.path);
        let numbered = |text: &str| text.replace("{n}", &n.to_string());
        let read = || fs::read_to_string(&path).map_err(WorkloadError::io(&path));
        let content = match &self.change {
            FileChange::Append(text) => read()? + &numbered(text),
            FileChange::Write(text) => numbered(text),
            FileChange::Replace([from, to, text]) => {
                let content = read()?;
                let parts = content.split_once(from).and_then(|(head, rest)| Some((head, rest.split_once(to)?.1)));
                let (head, tail) = parts.ok_or_else(|| WorkloadError::Invalid {
                    workload: self.path.display().to_string(),
                    message: format!("no text between `{from}` and `{to}`"),
                })?;
                format!("{head}{from}{}{to}{tail}", numbered(text))
            }
        };
        fs::write(&path, content).map_err(WorkloadError::io(&path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(change: FileChange, times: u32) -> String {
        let context = tempfile::tempdir().unwrap();
        fs::write(context.path().join("f"), "a = \"old\"; b\n").unwrap();
        let edit = Edit { scenario: Scenario::Edit, path: "f".into(), change };
        (0..times).for_each(|n| edit.apply(context.path(), n).unwrap());
        fs::read_to_string(context.path().join("f")).unwrap()
    }

    #[test]
    fn each_edit_is_different() {
        assert_eq!(edited(FileChange::Append("// {n}\n".into()), 2), "a = \"old\"; b\n// 0\n// 1\n");
        assert_eq!(edited(FileChange::Write("{n}".into()), 3), "2");
        assert_eq!(edited(FileChange::Replace(["a = \"".into(), "\"".into(), "v{n}".into()]), 2), "a = \"v1\"; b\n");
    }
}
