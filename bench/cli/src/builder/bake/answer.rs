//! `bake --call` and `bake --check`: what is said about each target instead of building it.

use super::ReadyTarget;
use crate::check::{Answer, Shown};
use crate::{Failure, write_out, write_text};
use buildscope_bake::Selection;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Prints the answers: a part for each target, or one JSON document for all.
///
/// # Errors
/// Fails if the answer for a target is an error, or if a check found something.
pub(super) fn print(targets: &[ReadyTarget], selection: &Selection) -> Result<(), Failure> {
    let json = targets.iter().any(|target| target.options.call().json);
    let (mut failed, mut documents) = (false, BTreeMap::new());
    for (index, ReadyTarget { name, options }) in targets.iter().enumerate() {
        let Answer { shown, end } = match options.answer() {
            Ok(Some(answer)) => answer,
            Ok(None) => continue,
            Err(error) if json => {
                Answer { shown: Shown::Json(json!({ "error": error.to_string() }).to_string()), end: Err(error) }
            }
            Err(error) => Answer { shown: Shown::Text(String::new()), end: Err(error) },
        };
        match shown {
            Shown::Text(text) => {
                let line = if index == 0 { "" } else { "\n" };
                let description = selection.targets.get(name).map(|target| target.description.as_str());
                let description = description.filter(|text| !text.is_empty()).map(|text| format!("{text}\n"));
                write_text(&format!("{line}{name}\n{}\n{text}", description.unwrap_or_default()));
            }
            Shown::Json(text) => {
                let document: Value = serde_json::from_str(&text).map_err(Failure::internal)?;
                documents.insert(name.clone(), document);
            }
        }
        if let Err(failure) = end {
            failed = true;
            failure.report();
        }
    }
    if json {
        let call = targets.iter().map(|target| target.options.call().subrequest.name()).next().unwrap_or_default();
        write_out(&(selection.print_answers(call, &documents) + "\n"));
    }
    if failed { Err(Failure::Reported) } else { Ok(()) }
}
