//! YAML scalars as text, as Go prints them.

use yaml_serde::Value as Yaml;

/// The text of a scalar. `1.0` is `1`. `None`: null, a list or a map.
pub(super) fn text(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Bool(value) => Some(value.to_string()),
        Yaml::Number(number) => Some(match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), _, _) => whole.to_string(),
            (_, Some(whole), _) => whole.to_string(),
            (_, _, Some(float)) if float.abs() >= 1e21 => format!("{float:e}"),
            (_, _, Some(float)) => float.to_string(),
            _ => number.to_string(),
        }),
        Yaml::Tagged(tagged) => text(&tagged.value),
        Yaml::Null | Yaml::Sequence(_) | Yaml::Mapping(_) => None,
    }
}
