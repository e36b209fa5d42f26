//! The names that builders give their steps: `[stage 2/4] RUN make`, `[internal] load build context`.

use buildscope_record::{Instruction, Phase};
use std::collections::HashSet;

/// The parts of a vertex's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name {
    /// The name of the stage. `None` for the builder's own work.
    pub(crate) stage: Option<String>,
    /// The target of a bake file or the service of a compose file.
    pub(crate) target: Option<String>,
    /// The platform, or two with an arrow between them.
    pub(crate) platform: Option<String>,
    /// The number of the step in its stage, and the number of steps of the stage.
    pub(crate) number: Option<(u32, u32)>,
    pub(crate) instruction: Instruction,
    /// The rest of the name.
    pub(crate) text: String,
}

/// The words in brackets at the start of a vertex's name, and the text after them.
fn bracketed(name: &str) -> Option<(Vec<&str>, &str)> {
    let (inside, rest) = name.strip_prefix('[')?.split_once(']')?;
    Some((inside.split_whitespace().collect(), rest.trim()))
}

/// Parses `2/7`.
fn ratio(word: &str) -> Option<(u32, u32)> {
    let (at, of) = word.split_once('/')?;
    Some((at.parse().ok()?, of.parse().ok()?))
}

/// The targets before the names of vertices if several are built at the same time: `[api internal]`, `[api] exporting to image`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets(HashSet<String>);

impl Targets {
    /// The targets among the names of a build's vertices.
    pub(crate) fn of<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        Self(names.filter_map(target).map(str::to_owned).collect())
    }

    /// Adds the target in the name of a further vertex.
    pub(crate) fn add(&mut self, name: &str) {
        self.0.extend(target(name).map(str::to_owned));
    }

    /// Whether two names are those of one vertex: BuildKit names a vertex that several targets use after one target and then after another.
    pub(crate) fn are_one(&self, one: &str, other: &str) -> bool {
        let without_target = |name| {
            let (words, text) = bracketed(name)?;
            let (first, more) = words.split_first()?;
            (self.has(first) || target(name) == Some(*first)).then(|| (more.to_vec(), text))
        };
        one == other || without_target(one).is_some_and(|rest| without_target(other) == Some(rest))
    }

    fn has(&self, word: &str) -> bool {
        self.0.contains(word)
    }
}

/// The target that the name of a vertex surely has.
fn target(name: &str) -> Option<&str> {
    let (words, rest) = bracketed(name)?;
    // `[linux/arm64 internal]` has a platform.
    words.first().filter(|word| !word.contains('/'))?;
    match words[..] {
        [target, "internal" | "auth"] | [target, "context", _] => Some(target),
        [target] if !matches!(target, "internal" | "auth") && follows_the_steps(rest) => Some(target),
        [target, _, _, number] | [target, _, number] if ratio(number).is_some() => Some(target),
        _ => None,
    }
}

/// Parses the name of a BuildKit vertex.
pub(crate) fn vertex(name: &str, targets: &Targets) -> Name {
    let internal = |target: Option<&str>| Name {
        target: target.map(str::to_owned),
        instruction: Instruction::Internal,
        text: name.to_owned(),
        ..Name::default()
    };
    let Some((words, rest)) = bracketed(name) else { return internal(None) };
    // `api linux/amd64 build 2/4`: all words but the last are optional.
    let (mut words, first) = (words.as_slice(), words.first().copied());
    let target = first.filter(|first| targets.has(first) && (words.len() > 1 || ratio(first).is_none()));
    let number = words.last().and_then(|last| ratio(last));
    let Some(number) = number.filter(|_| !words.is_empty()) else { return internal(target) };
    words = &words[usize::from(target.is_some())..words.len() - 1];
    let platform = words.first().copied().filter(|word| word.contains('/'));
    words = &words[usize::from(platform.is_some()).min(words.len())..];
    // A trigger that the base image or another stage gave to this stage is executed here.
    let rest = rest.strip_prefix("ONBUILD ").unwrap_or(rest);
    Name {
        // BuildKit omits the name if there is only one stage.
        stage: Some(words.last().copied().unwrap_or("stage-0").to_owned()),
        target: target.map(str::to_owned),
        platform: platform.map(str::to_owned),
        number: Some(number),
        instruction: instruction(rest),
        text: rest.to_owned(),
    }
}

/// Whether the builder's own work writes the result: `exporting to image`, also behind the name of a target.
pub(crate) fn is_export(text: &str) -> bool {
    let text = bracketed(text).map_or(text, |(_, rest)| rest);
    ["exporting", "pushing", "writing image", "COMMIT", "sending tarball", "naming to"]
        .iter()
        .any(|word| text.starts_with(word))
}

/// Whether the client uses the result: it loads it into docker, combines the platforms, or asks for its provenance. Also behind the name of
/// a target.
pub(crate) fn uses_result(text: &str) -> bool {
    let text = bracketed(text).map_or(text, |(_, rest)| rest);
    ["importing to docker", "merging manifest list", "resolving provenance"].iter().any(|word| text.starts_with(word))
}

/// Whether the work comes after all steps of a build.
pub(crate) fn follows_the_steps(text: &str) -> bool {
    is_export(text) || uses_result(text)
}

/// Whether BuildKit loads a named context: `[context base] load metadata for ...`, also behind the name of a target.
pub(crate) fn loads_context(text: &str) -> bool {
    bracketed(text).is_some_and(|(words, _)| matches!(words[..], ["context", _] | [_, "context", _]))
}

/// Whether BuildKit does this work before the first stage starts: it loads the Dockerfile, and asks for images.
pub(crate) fn is_preparation(text: &str) -> bool {
    let of_builder = text.starts_with('[') && ["internal]", "auth]"].iter().any(|word| text.contains(word));
    of_builder || ["resolve image config", "docker-image://"].iter().any(|word| text.starts_with(word))
}

/// Whether an instruction copies files of the build context.
pub(crate) fn copies_context(instruction: &Instruction, text: &str) -> bool {
    instruction.copies() && flags(text, "from").next().is_none()
}

/// The instruction at the start of a text, in any case. An empty text is work of the builder itself.
pub(crate) fn instruction(text: &str) -> Instruction {
    let keyword = text.split_whitespace().next();
    keyword.map_or(Instruction::Internal, |keyword| keyword.to_ascii_uppercase().into())
}

/// The text of a step that executes an ONBUILD instruction of a base image, where the log does not have the instruction. No instruction of a
/// Dockerfile has such a text.
pub(crate) fn trigger(base: &str) -> String {
    format!("{TRIGGER}{base}")
}

/// Whether a step has such a text.
pub(crate) fn is_trigger(text: &str) -> bool {
    text.starts_with(TRIGGER)
}

const TRIGGER: &str = "ONBUILD of ";

/// The phase of a step that is one block.
pub(crate) fn phase(instruction: &Instruction, text: &str) -> Phase {
    match instruction {
        Instruction::Run => return Phase::Process,
        Instruction::Copy | Instruction::Add => return Phase::Copy,
        Instruction::From => return Phase::Pull,
        Instruction::Internal => {}
        _ => return Phase::Commit,
    }
    let has = |part: &str| text.contains(part);
    if has("load build definition") || has("load .dockerignore") {
        Phase::Read
    } else if has("load metadata") || has("[auth]") || has("resolve") || has("resolving") {
        Phase::Resolve
    } else if has("load build context") || has("upload") {
        Phase::ContextScan
    } else if has("pushing") || has("merging manifest list") {
        Phase::Push
    } else if has("exporting")
        || has("writing image")
        || has("sending tarball")
        || has("naming to")
        || has("COMMIT")
        || has("importing to docker")
    {
        Phase::Export
    } else if has("importing cache") || has("OCI load") || has("load from client") {
        Phase::Pull
    } else {
        Phase::Fetch
    }
}

/// The value of `--name=value` among the flags of an instruction, which come before everything else.
pub(crate) fn flags<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let flags = text.split_whitespace().skip(1).take_while(|word| word.starts_with("--"));
    let name = format!("{name}=");
    flags.filter_map(move |flag| {
        flag.strip_prefix("--")?.strip_prefix(name.as_str()).map(|value| value.trim_matches('"'))
    })
}

/// The exclusive lock of a `RUN --mount=type=cache,sharing=locked`: its id, otherwise its target.
pub(crate) fn locks(text: &str) -> Vec<String> {
    let lock = |mount: &str| {
        let value = |key: &str| mount.split(',').find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
        let locked = value("type") == Some("cache") && value("sharing") == Some("locked");
        let name = value("id").or_else(|| value("target")).or_else(|| value("dst")).or_else(|| value("destination"))?;
        locked.then(|| format!("cache-mount:{name}"))
    };
    flags(text, "mount").filter_map(lock).collect()
}

/// The stages that an instruction uses, from its text.
pub(crate) fn sources(instruction: &Instruction, text: &str) -> Vec<String> {
    let from = |mount: &str| mount.split(',').find_map(|part| part.strip_prefix("from=")).map(str::to_owned);
    match instruction {
        Instruction::From => text
            .split_whitespace()
            .skip(1)
            .find(|word| !word.starts_with("--"))
            .map(str::to_owned)
            .into_iter()
            .collect(),
        Instruction::Copy | Instruction::Add => flags(text, "from").map(str::to_owned).collect(),
        Instruction::Run => flags(text, "mount").filter_map(from).collect(),
        _ => Vec::new(),
    }
}

/// The exit code that an error message contains.
pub(crate) fn exit_code(error: &str) -> Option<i32> {
    ["exit code: ", "exit code ", "non-zero code: ", "exit status "].iter().find_map(|before| {
        let digits = &error[error.find(before)? + before.len()..];
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let name = |text: &str| {
            let name = vertex(text, &Targets::default());
            (name.stage.unwrap_or_default(), name.number, name.instruction, name.text)
        };
        assert_eq!(
            name("[link 3/7] COPY --from=a /a ."),
            ("link".into(), Some((3, 7)), "COPY".into(), "COPY --from=a /a .".into())
        );
        assert_eq!(name("[2/2] RUN x"), ("stage-0".into(), Some((2, 2)), "RUN".into(), "RUN x".into()));
        assert_eq!(
            name("[linux/arm64 build 1/2] FROM x"),
            ("build".into(), Some((1, 2)), "FROM".into(), "FROM x".into())
        );
        assert_eq!(name("[x 1/2] ONBUILD RUN a"), ("x".into(), Some((1, 2)), "RUN".into(), "RUN a".into()));
        assert_eq!(name("[stage-16  3/17] COPY a b").1, Some((3, 17)));
        assert_eq!(name("[internal] load .dockerignore").2, Instruction::Internal);
        assert_eq!(name("exporting to image").2, Instruction::Internal);
        assert_eq!(name("[").2, Instruction::Internal);
        assert_eq!(name("[]").2, Instruction::Internal);
    }

    #[test]
    fn targets_and_platforms_are_distinguished_from_stages() {
        let names =
            ["[web internal] load build definition", "[api] exporting to image", "[internal] load .dockerignore"];
        let targets = Targets::of(names.into_iter());
        let name = |text: &str| {
            let name = vertex(text, &targets);
            (name.target.unwrap_or_default(), name.platform.unwrap_or_default(), name.stage.unwrap_or_default())
        };
        let of = |target: &str, platform: &str, stage: &str| (target.to_owned(), platform.to_owned(), stage.to_owned());
        assert_eq!(name("[web 1/4] RUN npm ci"), of("web", "", "stage-0"));
        assert_eq!(name("[api builder 2/3] RUN x"), of("api", "", "builder"));
        assert_eq!(name("[api linux/arm64 builder 2/3] RUN x"), of("api", "linux/arm64", "builder"));
        assert_eq!(name("[linux/amd64->arm64 build 3/3] RUN x"), of("", "linux/amd64->arm64", "build"));
        assert_eq!(name("[linux/amd64 2/3] RUN x"), of("", "linux/amd64", "stage-0"));
        assert_eq!(name("[web] exporting to image"), of("web", "", ""));
        assert_eq!(name("[builder 2/3] RUN x"), of("", "", "builder"));
    }

    #[test]
    fn a_vertex_of_several_targets_has_several_names() {
        let targets = Targets::of(["[web internal] x", "[api internal] x"].into_iter());
        for (one, other, expected) in [
            ("[web context base] load", "[api context base] load", true),
            ("[web 1/2] FROM x", "[api 1/2] FROM x", true),
            ("[a stage-0 1/2] FROM x", "[b stage-0 1/2] FROM x", true),
            ("[web 1/2] FROM x", "[api 2/2] FROM x", false),
            ("[web 1/2] FROM x", "[api 1/2] FROM y", false),
            ("[build 1/2] FROM x", "[test 1/2] FROM x", false),
            ("[linux/amd64 build 1/2] FROM x", "[linux/arm64 build 1/2] FROM x", false),
            ("[1/2] FROM x", "[2/2] FROM x", false),
        ] {
            assert_eq!(targets.are_one(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn flags_are_read_at_their_position() {
        let run = "RUN --mount=type=cache,target=/c,sharing=locked --mount=type=bind,from=dep,target=/d make --mount=x";
        assert_eq!(locks(run), ["cache-mount:/c"]);
        assert_eq!(sources(&Instruction::Run, run), ["dep"]);
        assert_eq!(sources(&Instruction::Copy, "COPY --from=a --chown=1 /a /b"), ["a"]);
        assert_eq!(sources(&Instruction::From, "FROM --platform=x base AS b"), ["base"]);
        assert_eq!(exit_code("did not complete successfully: exit code: 137: context canceled"), Some(137));
    }
}
