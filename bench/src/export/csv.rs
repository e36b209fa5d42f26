//! CSV (RFC 4180) with one row per build, for spreadsheets and data frames.

use crate::run::Run;
use std::fmt::Write as _;

/// Exports every sample. Samples with a wrong result have a text in the column `fault`.
pub fn export(run: &Run) -> String {
    let mut text = "workload,cache,builder,policy,driver,jobs,round,position,wall_s,user_s,system_s,exit_code,load,io_pressure,fault\n".to_owned();
    for case in &run.cases {
        let subject = &case.case.subject;
        for sample in &case.samples {
            let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
                field(&case.case.workload),
                case.case.scenario,
                field(&subject.builder),
                field(subject.policy_name()),
                field(subject.driver.name()),
                subject.jobs,
                sample.round,
                sample.position,
                sample.wall,
                sample.user,
                sample.system,
                sample.exit_code.map_or_else(String::new, |code| code.to_string()),
                number(sample.load),
                number(sample.io_pressure),
                field(sample.fault.as_deref().unwrap_or_default()),
            );
        }
    }
    text
}

/// Quotes a field if RFC 4180 requires it.
pub(super) fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample::run;

    #[test]
    fn each_build_is_one_row() {
        insta::assert_snapshot!(export(&run()));
        assert_eq!(field("a \"b\", c"), "\"a \"\"b\"\", c\"");
    }
}
