//! The inputs of a Dockerfile: its stages, build arguments, secrets, SSH agents and caches.

use super::mount::{MountType, Spec};
use super::{Dockerfile, Instruction, Kind, Word};
use serde::Serialize;
use std::fmt;

/// All inputs that a caller may give to a build, and the lines that use them. The JSON arrays are those of BuildKit's outline subrequest.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Outline {
    /// The stages in the order of the file.
    pub stages: Vec<StageOutline>,
    /// The build arguments in the order of their declaration.
    pub args: Vec<ArgumentOutline>,
    /// The secrets of RUN steps.
    pub secrets: Vec<MountOutline>,
    /// The SSH agents of RUN steps.
    pub ssh: Vec<MountOutline>,
    /// The cache directories of RUN steps.
    pub cache: Vec<MountOutline>,
}

/// A stage.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct StageOutline {
    /// The name in lower case, or the index of a stage without a name.
    pub name: String,
    /// The base image or stage as written.
    pub base: String,
    /// The value of `--platform` as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The comment above the stage, if the comment starts with the name of the stage.
    #[serde(rename = "desc", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The first line, counted from 1.
    pub line: u32,
    /// The number of instructions after the FROM.
    pub instructions: usize,
    /// Whether this stage is built if the caller names no target.
    pub default: bool,
}

/// A build argument.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ArgumentOutline {
    /// The name of the argument.
    pub name: String,
    /// The default value as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The comment above the argument, if the comment starts with the name of the argument.
    #[serde(rename = "desc", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The stage that declares the argument. `None` if it is declared above the first FROM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The line of the ARG, counted from 1.
    pub line: u32,
}

/// A secret, an SSH agent or a cache.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct MountOutline {
    /// The name of the mount.
    pub id: String,
    /// The path in the container as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Whether the step fails without the mount.
    pub required: bool,
    /// The stage that uses the mount.
    pub stage: String,
    /// The line of the RUN, counted from 1.
    pub line: u32,
}

impl Outline {
    /// Collects the outline of a file.
    pub fn of(file: &Dockerfile<'_>) -> Self {
        Self::of_stages(file, |_| true)
    }

    /// Collects the outline of those stages of a file that `includes` returns true for, and of the arguments above the
    /// first FROM. Stages are counted from 0.
    pub fn of_stages(file: &Dockerfile<'_>, includes: impl Fn(usize) -> bool) -> Self {
        let mut outline = Self::default();
        let froms = file.instructions.iter().filter(|instruction| matches!(instruction.kind, Kind::From(_)));
        let last = froms.count().checked_sub(1);
        let mut stages = 0_usize;
        for instruction in &file.instructions {
            stages += usize::from(matches!(instruction.kind, Kind::From(_)));
            if stages.checked_sub(1).is_some_and(|stage| !includes(stage)) {
                continue;
            }
            let stage = outline.stages.last().map(|stage| stage.name.clone());
            if let (Some(current), false) = (outline.stages.last_mut(), matches!(instruction.kind, Kind::From(_))) {
                current.instructions += 1;
            }
            match &instruction.kind {
                Kind::From(from) => {
                    let name = from.name.as_ref().map(|name| name.to_lowercase());
                    let described = name.as_deref().and_then(|name| described(file, instruction, name));
                    outline.stages.push(StageOutline {
                        name: name.unwrap_or_else(|| (stages - 1).to_string()),
                        base: from.base.text.to_string(),
                        platform: from.platform.as_ref().map(|word| word.text.to_string()),
                        description: described,
                        line: instruction.lines.0,
                        instructions: 0,
                        default: last == Some(stages - 1),
                    });
                }
                Kind::Arg(arguments) => outline.args.extend(arguments.iter().map(|argument| ArgumentOutline {
                    name: argument.name.text.to_string(),
                    value: argument.default.as_ref().map(|word| word.text.to_string()),
                    description: described(file, instruction, &argument.name),
                    stage: stage.clone(),
                    line: instruction.lines.0,
                })),
                Kind::Run(run) => {
                    for word in run.mounts() {
                        outline.mount(word, stage.as_deref().unwrap_or_default(), instruction);
                    }
                }
                _ => {}
            }
        }
        outline
    }

    fn mount(&mut self, word: &Word<'_>, stage: &str, instruction: &Instruction<'_>) {
        let Ok(spec) = Spec::parse(word, &|value| Ok(value.to_owned())) else { return };
        let last = |path: &String| path.rsplit('/').next().unwrap_or(path).to_owned();
        let (list, default) = match spec.kind {
            MountType::Secret => (&mut self.secrets, spec.source.as_ref().or(spec.target.as_ref()).map(last)),
            MountType::Ssh => (&mut self.ssh, Some("default".to_owned())),
            MountType::Cache => (&mut self.cache, spec.target.clone()),
            MountType::Bind | MountType::Tmpfs => return,
        };
        list.push(MountOutline {
            id: spec.id.or(default).unwrap_or_default(),
            target: spec.target,
            required: spec.required,
            stage: stage.to_owned(),
            line: instruction.lines.0,
        });
    }
}

/// Returns the description of a name: the comment directly above the instruction, if it starts with the name.
fn described(file: &Dockerfile<'_>, instruction: &Instruction<'_>, name: &str) -> Option<String> {
    let span = file.comments_above(instruction).last()?;
    let comment = file.text[span.range()].trim_start_matches('#').trim();
    let (first, rest) = comment.split_once(' ')?;
    first.eq_ignore_ascii_case(name).then(|| rest.trim().to_owned())
}

impl fmt::Display for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.stages.iter().map(|stage| {
            let from = match &stage.platform {
                Some(platform) => format!("{} for {platform}", stage.base),
                None => stage.base.clone(),
            };
            let name = if stage.default { format!("{} (default)", stage.name) } else { stage.name.clone() };
            [
                name,
                from,
                match stage.instructions {
                    1 => "1 instruction".to_owned(),
                    count => format!("{count} instructions"),
                },
                stage.line.to_string(),
                text(&stage.description),
            ]
        });
        table(f, ["STAGE", "FROM", "", "LINE", ""], rows.collect())?;
        let rows = self.args.iter().map(|argument| {
            let stage = argument.stage.clone().unwrap_or_else(|| "(all FROM)".into());
            [
                argument.name.clone(),
                text(&argument.value),
                stage,
                argument.line.to_string(),
                text(&argument.description),
            ]
        });
        table(f, ["ARG", "DEFAULT", "STAGE", "LINE", ""], rows.collect())?;
        for (title, mounts) in [("SECRET", &self.secrets), ("SSH", &self.ssh), ("CACHE", &self.cache)] {
            let rows = mounts.iter().map(|mount| {
                let required = if mount.required { "required" } else { "" };
                [mount.id.clone(), text(&mount.target), mount.stage.clone(), mount.line.to_string(), required.into()]
            });
            table(f, [title, "TARGET", "STAGE", "LINE", ""], rows.collect())?;
        }
        Ok(())
    }
}

fn text(value: &Option<String>) -> String {
    value.clone().unwrap_or_default()
}

/// Writes a table whose columns are as wide as their cells. Without rows, it writes nothing.
fn table(f: &mut fmt::Formatter<'_>, head: [&str; 5], rows: Vec<[String; 5]>) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    let head = head.map(str::to_owned);
    let width = |column: usize| rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    for row in [&head].into_iter().chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            if width > 0 {
                line += &format!("{cell:width$}  ");
            }
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::Outline;

    #[test]
    fn an_outline_of_some_stages_has_only_their_inputs() {
        let text = "ARG V=1\nFROM scratch\nARG A\nFROM scratch AS b\nARG B\nRUN --mount=type=ssh make\nFROM scratch\n";
        let outline = Outline::of_stages(&crate::parse(text).unwrap(), |stage| stage != 0);
        let stages: Vec<_> = outline.stages.iter().map(|stage| (&*stage.name, stage.default)).collect();
        assert_eq!(stages, [("b", false), ("2", true)]);
        let arguments: Vec<_> =
            outline.args.iter().map(|argument| (&*argument.name, argument.stage.as_deref())).collect();
        assert_eq!(arguments, [("V", None), ("B", Some("b"))]);
        assert_eq!(outline.ssh.len(), 1);
    }

    #[test]
    fn an_outline_lists_all_inputs() {
        let text = "# TAG is the version of the base\nARG TAG=1\n\n# build compiles\nFROM alpine:$TAG AS build\n\
            ARG CFLAGS\nRUN --mount=type=secret,id=token,required --mount=type=cache,target=/c --mount=type=ssh make\n\
            FROM scratch\nCOPY --from=build /a /a\n";
        let outline = Outline::of(&crate::parse(text).unwrap());
        insta::assert_snapshot!(outline.to_string(), @r"
        STAGE        FROM                         LINE
        build        alpine:$TAG  2 instructions  5     compiles
        1 (default)  scratch      1 instruction   8

        ARG     DEFAULT  STAGE       LINE
        TAG     1        (all FROM)  2     is the version of the base
        CFLAGS           build       6

        SECRET  TARGET  STAGE  LINE
        token           build  7     required

        SSH      TARGET  STAGE  LINE
        default          build  7

        CACHE  TARGET  STAGE  LINE
        /c     /c      build  7
        ");
    }
}
