//! `--call`: what is done with the Dockerfile instead of a build.

use crate::Failure;
use crate::check::Shown;
use miette::miette;
use std::str::FromStr;

/// A subrequest of docker buildx.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Subrequest {
    /// The image is built.
    #[default]
    Build,
    /// The Dockerfile is checked.
    Check,
    /// Lists arguments, secrets and caches.
    Outline,
    /// Lists the stages.
    Targets,
    /// Lists the subrequests.
    Describe,
}

impl Subrequest {
    /// The name that buildx gives its answer in a JSON document.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Check => "check",
            Self::Outline => "outline",
            Self::Targets => "targets",
            Self::Describe => "subrequests.describe",
        }
    }
}

/// A subrequest and the format of its answer: `outline,format=json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    pub(in crate::builder) subrequest: Subrequest,
    pub(in crate::builder) json: bool,
    /// Whether findings give the exit code 0 (`ignorestatus`).
    pub(super) ignores_findings: bool,
}

impl FromStr for Call {
    type Err = miette::Report;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(',');
        let subrequest = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "" | "build" => Subrequest::Build,
            "check" | "lint" => Subrequest::Check,
            "outline" => Subrequest::Outline,
            "targets" => Subrequest::Targets,
            "subrequests.describe" => Subrequest::Describe,
            other => {
                return Err(miette!(
                    "unknown call `{other}`: use build, check, outline, targets or subrequests.describe"
                ));
            }
        };
        let mut call = Self { subrequest, json: false, ignores_findings: false };
        for part in parts {
            match part.split_once('=') {
                Some(("format", "json")) => call.json = true,
                Some(("format", "text")) => call.json = false,
                Some(("ignorestatus", "true" | "1")) => call.ignores_findings = true,
                Some(("ignorestatus", "false" | "0")) => call.ignores_findings = false,
                _ => {
                    return Err(miette!(
                        "unknown option `{part}` of --call: use format=json|text or ignorestatus=true"
                    ));
                }
            }
        }
        Ok(call)
    }
}

/// The subrequests that can be called, with the names and descriptions of BuildKit's front end.
const SUBREQUESTS: [(&str, &str); 4] = [
    ("lint", "Lint a Dockerfile"),
    ("outline", "List all parameters current build target supports"),
    ("targets", "List all targets current build supports"),
    ("subrequests.describe", "List available subrequest types"),
];

/// The version of all subrequests.
const VERSION: &str = "1.0.0";

/// The subrequests as docker buildx lists them.
pub(super) fn described(json: bool) -> Result<Shown, Failure> {
    if json {
        let request = |(name, description): &(&str, &str)| {
            serde_json::json!({
                "name": format!("frontend.{name}"),
                "version": VERSION,
                "type": "rpc",
                "description": description,
            })
        };
        let requests: Vec<_> = SUBREQUESTS.iter().map(request).collect();
        return serde_json::to_string_pretty(&requests).map(Shown::Json).map_err(Failure::internal);
    }
    use buildscope_reports::render::table::{Align, Cell, Table};
    let mut table = Table::new([Align::Left; 3]).flush();
    table.row(["NAME", "VERSION", "DESCRIPTION"].map(Cell::from));
    for (name, description) in SUBREQUESTS {
        table.row([name, VERSION, description].map(Cell::from));
    }
    Ok(Shown::Text(table.plain(usize::MAX)))
}

/// The stages of a Dockerfile as docker buildx lists them: the default one is marked.
pub(super) fn targets(outline: &buildscope_dockerfile::Outline, json: bool) -> Result<Shown, Failure> {
    if json {
        let targets: Vec<_> = outline.stages.iter().map(target).collect();
        let answer = serde_json::json!({ "targets": targets });
        return serde_json::to_string_pretty(&answer).map(Shown::Json).map_err(Failure::internal);
    }
    use buildscope_reports::render::table::{Align, Cell, Table};
    let mut table = Table::new([Align::Left, Align::Left]).flush();
    table.row(["TARGET", "DESCRIPTION"].map(Cell::from));
    for stage in &outline.stages {
        let name = if stage.default { format!("{} (default)", stage.name) } else { stage.name.clone() };
        table.row([name, stage.description.clone().unwrap_or_default()].map(Cell::from));
    }
    Ok(Shown::Text(table.plain(usize::MAX)))
}

fn target(stage: &buildscope_dockerfile::StageOutline) -> serde_json::Value {
    serde_json::json!({
        "name": stage.name,
        "description": stage.description,
        "default": stage.default,
        "base": stage.base,
        "platform": stage.platform,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_a_format() {
        let call = |text: &str| text.parse::<Call>();
        let json = Call { subrequest: Subrequest::Outline, json: true, ..Call::default() };
        assert_eq!(call("outline,format=json").unwrap(), json);
        assert_eq!(call("targets").unwrap(), Call { subrequest: Subrequest::Targets, ..Call::default() });
        assert!(call("check,ignorestatus=true").unwrap().ignores_findings);
        assert!(call("plan").is_err() && call("check,format=xml").is_err());
    }
}
