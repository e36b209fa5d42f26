//! The table of the targets' outcomes.

use buildscope_bake::Selection;
use buildscope_builder::engine::TargetEnd;
use buildscope_oci::Reference;
use buildscope_reports::render::table::{Align, Cell, Table};
use serde_json::{Map, Value, json};
use std::time::Instant;

/// A row for each target: its name, how it ended, after which time from `began`, and its image.
pub(super) fn of(names: &[String], ends: &[TargetEnd], began: Instant) -> String {
    let mut table = Table::new([Align::Left, Align::Left, Align::Right, Align::Left]).flush();
    table.row(["TARGET", "RESULT", "AFTER", "IMAGE"].map(Cell::new));
    for (name, end) in names.iter().zip(ends) {
        let (result, after, image) = match end {
            TargetEnd::Built(built, at) => {
                let after = at.saturating_duration_since(began);
                let id = built.id.map(|id| id.to_string()).unwrap_or_default();
                ("built", format!("{:.1} s", after.as_secs_f64()), id)
            }
            TargetEnd::Failed(error) => {
                let message = error.to_string();
                ("failed", String::new(), message.lines().next().unwrap_or_default().to_owned())
            }
            TargetEnd::Skipped(why) => ("not built", String::new(), why.clone()),
        };
        table.row([Cell::new(name), Cell::new(result), Cell::new(after), Cell::new(image)]);
    }
    table.render(usize::MAX, false)
}

/// The digests of all results, by target.
pub(super) fn metadata(names: &[String], ends: &[TargetEnd], selection: &Selection) -> Value {
    let mut document = Map::new();
    for (name, end) in names.iter().zip(ends) {
        if let TargetEnd::Built(built, _) = end {
            let tags = selection.targets.get(name).and_then(|target| target.tags.clone()).unwrap_or_default();
            let references: Vec<Reference> = tags.iter().filter_map(|tag| tag.parse().ok()).collect();
            let metadata = built.exported.first().map(|exported| exported.metadata(&references, &built.provenance));
            let of_store = || json!({ "containerimage.config.digest": built.id.map(|id| id.to_string()) });
            document.insert(name.clone(), metadata.unwrap_or_else(of_store));
        }
    }
    Value::Object(document)
}
