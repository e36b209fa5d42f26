//! Evidence that an install runs scripts of the project, which may need any file.

use super::facts::Facts;
use super::project::names_parts;
use crate::usage::{Tool, Usage};

/// Whether the project's files say that an install runs scripts of the project or installs the project itself; `None` if they cannot
/// be read.
pub(super) fn own_scripts(usage: &Usage, files: &[String], facts: &dyn Facts) -> Option<bool> {
    match usage.tool {
        Tool::Npm | Tool::Yarn | Tool::Pnpm | Tool::Bun => {
            let manifest = files.iter().find(|file| file.rsplit('/').next() == Some("package.json"))?;
            let text = facts.text(manifest)?;
            let names = [
                "preinstall",
                "install",
                "postinstall",
                "prepublish",
                "preprepare",
                "prepare",
                "postprepare",
                "dependencies",
            ];
            let value: serde_json::Value = serde_json::from_str(&text).ok()?;
            let scripts = value.get("scripts").and_then(|scripts| scripts.as_object());
            let runs = scripts.is_some_and(|scripts| names.iter().any(|name| scripts.contains_key(*name)));
            let local = ["dependencies", "devDependencies", "optionalDependencies"].iter().any(|group| {
                let group = value.get(group).and_then(|group| group.as_object());
                group.is_some_and(|group| {
                    group.values().filter_map(|version| version.as_str()).any(|version| {
                        ["file:", "link:", "portal:", "workspace:", "./", "../"]
                            .iter()
                            .any(|start| version.starts_with(start))
                    })
                })
            });
            let beside = || {
                let others = files.iter().filter(|file| *file != manifest);
                others
                    .filter_map(|file| Some((file, facts.text(file)?)))
                    .any(|(file, text)| named(usage.tool, file, &text))
            };
            Some(runs || local || value.get("workspaces").is_some() || beside())
        }
        Tool::Pip | Tool::Uv if files.iter().all(|file| !file.ends_with(".toml")) => {
            let texts: Option<Vec<String>> = files.iter().map(|file| facts.text(file)).collect();
            let local = |line: &str| {
                let line = line.trim();
                line.starts_with("-e")
                    || line.starts_with("--editable")
                    || line.starts_with(['.', '/'])
                    || line.contains("file:")
            };
            // A file that another one includes must be among them.
            let includes = |line: &str| {
                let mut words = line.split_whitespace();
                matches!(words.next(), Some("-r" | "-c" | "--requirement" | "--constraint"))
                    && words.next().is_some_and(|named| {
                        !files.iter().any(|file| file.rsplit('/').next() == named.rsplit('/').next())
                    })
            };
            Some(texts?.iter().flat_map(|text| text.lines()).any(|line| local(line) || includes(line)))
        }
        Tool::Conda => {
            let texts: Option<Vec<String>> = files.iter().map(|file| facts.text(file)).collect();
            Some(texts?.iter().any(|text| {
                text.contains("-e ") || text.contains("- .") || text.contains("-r ") || text.contains("file:")
            }))
        }
        Tool::Pipenv => {
            let texts: Option<Vec<String>> = files.iter().map(|file| facts.text(file)).collect();
            Some(
                texts?
                    .iter()
                    .any(|text| text.contains("path =") || text.contains("\"path\"") || text.contains("editable")),
            )
        }
        _ => {
            let texts: Option<Vec<(&String, String)>> =
                files.iter().map(|file| facts.text(file).map(|text| (file, text))).collect();
            Some(texts?.iter().any(|(file, text)| named(usage.tool, file, text)))
        }
    }
}

/// Whether a file names parts of the project.
fn named(tool: Tool, file: &str, text: &str) -> bool {
    names_parts(tool, file.rsplit('/').next().unwrap_or(file), text)
}

/// Whether a line of output shows that an install ran a script of the project, or installed a part of it.
pub(super) fn shows_scripts(tool: Tool, line: &str) -> bool {
    let line = line.trim();
    match tool {
        // `> app@1.0.0 postinstall`, `$ node scripts/x.js`, `. prepare$ husky`
        Tool::Npm => {
            line.starts_with("> ") && ["install", "prepare", "publish"].iter().any(|name| line.ends_with(name))
        }
        Tool::Yarn | Tool::Bun => line.starts_with("$ "),
        Tool::Pnpm => line.starts_with(". ") && line.contains('$') || line.starts_with("> "),
        Tool::Pip => {
            line.starts_with("Obtaining file:") || line.starts_with("Processing ./") || line.starts_with("Processing /")
        }
        Tool::Uv => line.contains("(from file:"),
        _ => false,
    }
}
