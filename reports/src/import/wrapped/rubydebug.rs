//! Logstash's `rubydebug` form: objects of Ruby with a field in each line.

use super::collector;

/// The lines of such a log; `None` if the text is not one.
pub(super) fn lines(text: &str) -> Option<String> {
    if !text.lines().take(200).any(|line| line.trim_start().starts_with('"') && line.contains("\" => ")) {
        return None;
    }
    collector::lines(&text.lines().map(as_json).collect::<String>())
}

/// `"message" => "text",` as JSON.
fn as_json(line: &str) -> String {
    let Some((name, value)) = line.split_once("\" => ").filter(|(name, _)| name.trim_start().starts_with('"')) else {
        return format!("{line}\n");
    };
    let (value, comma) = value.strip_suffix(',').map_or((value, ""), |value| (value, ","));
    let value = value.trim_end();
    let opens = value.ends_with(['{', '[']);
    let known = opens || serde_json::from_str::<serde::de::IgnoredAny>(value).is_ok();
    let value = if known { value.to_owned() } else { serde_json::Value::from(value).to_string() };
    format!("{name}\": {value}{comma}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_in_json() {
        let event = |text: &str, second: u32| {
            format!(
                "{{\n  \"message\" => \"{text}\",\n  \"@timestamp\" => 2026-03-01T10:00:0{second}.123Z,\n  \"host\" => {{\n    \"name\" => \"ci\"\n  }}\n}}\n"
            )
        };
        let log = event("#1 [internal] x", 0) + &event("#1 DONE 1.0s", 1);
        let expected = "2026-03-01T10:00:00.123Z #1 [internal] x\n2026-03-01T10:00:01.123Z #1 DONE 1.0s\n";
        assert_eq!(lines(&log).as_deref(), Some(expected));
        assert_eq!(lines("#1 [internal] x\n"), None);
    }
}
