//! The scripts of the Dockerfile that another builder's command builds, if its arguments name one.

use buildscope_dockerfile::{Instruction, Kind, parse};
use buildscope_observe::StartedCommand;
use buildscope_record::{Origin, Step};
use buildscope_reports::inside::{ScriptText, shows};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The instructions of Dockerfiles, and their scripts.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    /// The instructions of each Dockerfile, each on one line.
    files: Vec<Vec<String>>,
    /// Each RUN on one line, and its script.
    runs: Vec<(String, ScriptText)>,
}

/// The size of the largest Dockerfile that is read, in bytes.
const MOST: u64 = 1 << 20;

impl Scripts {
    /// Reads the Dockerfiles that commands such as `docker build -f FILE CONTEXT` name. Commands that build nothing are ignored. There are
    /// no scripts if no command names a Dockerfile that can be read.
    pub(super) fn of<'c>(commands: impl Iterator<Item = &'c StartedCommand>) -> Self {
        let paths: BTreeSet<PathBuf> =
            commands.flat_map(dockerfiles).filter_map(|path| path.canonicalize().ok()).collect();
        // Other programs' arguments may name anything.
        let is_small_file = |path: &&PathBuf| path.metadata().is_ok_and(|it| it.is_file() && it.len() <= MOST);
        let texts = paths.iter().filter(is_small_file).filter_map(|path| std::fs::read_to_string(path).ok());
        let mut all = Self::default();
        for read in texts.map(|text| Self::read(&text)) {
            all.files.extend(read.files);
            all.runs.extend(read.runs);
        }
        all
    }

    /// The instructions of each Dockerfile, each on one line.
    pub(super) fn files(&self) -> &[Vec<String>] {
        &self.files
    }

    fn read(text: &str) -> Self {
        let Ok(file) = parse(text) else { return Self::default() };
        let script = |instruction: &Instruction<'_>| {
            let Kind::Run(run) = &instruction.kind else { return None };
            let script = run.script(&file)?;
            let origin =
                |piece: &buildscope_dockerfile::Piece| Origin { at: piece.at, line: piece.line, column: piece.column };
            let origins = script.pieces.iter().map(origin).collect();
            Some((file.one_line(instruction), ScriptText { text: script.text, origins }))
        };
        let lines = file.instructions.iter().map(|instruction| file.one_line(instruction)).collect();
        Self { files: vec![lines], runs: file.instructions.iter().filter_map(script).collect() }
    }

    /// The scripts that a step may have. Those whose instruction the builder shows as it is come first. BuildKit replaces variables, and shows
    /// of a heredoc its first line.
    pub(super) fn find(&self, step: &Step) -> Vec<ScriptText> {
        let text = step.text.split_whitespace().collect::<Vec<_>>().join(" ");
        // BuildKit shows the name of an instruction in capitals, which ends at the first space.
        let is_loud = step.text.starts_with("RUN\t");
        let is_same = |line: &str| text == line || (is_loud && text.eq_ignore_ascii_case(line));
        let (same, others): (Vec<_>, Vec<_>) = self.runs.iter().partition(|(line, _)| is_same(line));
        let is_shown = |(line, script): &&(String, ScriptText)| {
            let head = script.text.trim().lines().next().filter(|_| line.contains("<<"));
            let is_heredoc =
                |head| shows(&text, &format!("{line} ({head})")) || shows(&text, &format!("{line} ({head}...)"));
            shows(&text, line) || head.is_some_and(is_heredoc)
        };
        same.into_iter().chain(others.into_iter().filter(is_shown)).map(|(_, script)| script.clone()).collect()
    }
}

/// The paths that may be that of the Dockerfile: the value of `-f` or `--file`, else the file in a directory among the arguments, or that
/// `buildctl build --local dockerfile=DIRECTORY` names. An option may follow the context, so its value may be another directory.
fn dockerfiles(command: &StartedCommand) -> Vec<PathBuf> {
    let StartedCommand { directory, arguments } = command;
    let Some(at) = arguments.iter().position(|word| matches!(&**word, "build" | "bud" | "b")) else {
        return Vec::new();
    };
    let rest = &arguments[at + 1..];
    // The values of options of buildctl, in one word with the option or in the next.
    let value = |option: &str, name: &str| {
        let word = |word: &String| Some(word.strip_prefix(option).unwrap_or(word).strip_prefix(name)?.to_owned());
        rest.iter().find_map(word)
    };
    if let Some(folder) = value("--local=", "dockerfile=") {
        let name = value("--opt=", "filename=").unwrap_or_else(|| "Dockerfile".into());
        return vec![directory.join(folder).join(name)];
    }
    let given = rest.iter().enumerate().find_map(|(number, word)| match &**word {
        "-f" | "--file" => rest.get(number + 1).map(String::as_str),
        word => word.strip_prefix("--file=").or_else(|| word.strip_prefix("-f").filter(|path| !path.is_empty())),
    });
    // podman and buildah look for the file in the context, too.
    let outside = given.map(|path| directory.join(path)).filter(|path| path.exists());
    let contexts = rest.iter().map(|word| directory.join(word));
    let inside = contexts.filter_map(|context| match given {
        Some(path) => Some(context.join(path)).filter(|path| path.exists()),
        None => ["Containerfile", "Dockerfile"].map(|name| context.join(name)).into_iter().find(|path| path.exists()),
    });
    outside.map_or_else(|| inside.collect(), |path| vec![path])
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::StepId;
    use std::path::Path;

    fn command(directory: &Path, text: &str) -> StartedCommand {
        StartedCommand { directory: directory.into(), arguments: text.split(' ').map(str::to_owned).collect() }
    }

    #[test]
    fn the_dockerfile_is_found_in_the_arguments() {
        let folder = tempfile::tempdir().unwrap();
        let (place, elsewhere) = (folder.path(), Path::new("/"));
        for name in ["Dockerfile", "other"] {
            std::fs::write(place.join(name), "").unwrap();
        }
        let context = place.to_str().unwrap();
        for (directory, text, name) in [
            (elsewhere, format!("docker build -t x {context}"), "Dockerfile"),
            (elsewhere, format!("docker build -f {context}/other ."), "other"),
            (elsewhere, format!("buildah bud --file=other {context}"), "other"),
            (
                elsewhere,
                format!("buildctl build --local dockerfile={context} --opt=filename=other --local=context=."),
                "other",
            ),
            (elsewhere, format!("buildctl build --frontend=dockerfile.v0 --local=dockerfile={context}"), "Dockerfile"),
            // `cd DIRECTORY && docker build .`
            (place, "docker build .".into(), "Dockerfile"),
            (place, "docker build . --tag x".into(), "Dockerfile"),
            (place, "podman build -f other . -t x".into(), "other"),
            (place, "buildctl build --local=dockerfile=. --opt filename=other".into(), "other"),
        ] {
            let found: Vec<_> = dockerfiles(&command(directory, &text));
            let found: BTreeSet<_> = found.iter().map(|path| path.canonicalize().unwrap()).collect();
            assert_eq!(found, BTreeSet::from([place.canonicalize().unwrap().join(name)]), "{text}");
        }
        assert_eq!(dockerfiles(&command(place, "make image")), Vec::<PathBuf>::new());
    }

    /// `make image` starts `docker build`. What other programs name need not be a Dockerfile.
    #[test]
    fn the_dockerfiles_of_all_commands_are_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "FROM x\nRUN make a\n").unwrap();
        std::fs::write(folder.path().join("b"), "FROM x\nRUN make b\n").unwrap();
        let texts = [
            "make image",
            "docker build -f a .",
            "docker build -f b .",
            "docker build -f /dev/zero .",
            "docker build -f none .",
        ];
        let scripts = Scripts::of(texts.map(|text| command(folder.path(), text)).iter());
        let found = |text: &str| !scripts.find(&Step::of(StepId(0), "RUN", text)).is_empty();
        assert!(found("RUN make a") && found("RUN make b") && !found("RUN make c"));
    }

    #[test]
    fn a_step_has_the_script_of_its_instruction() {
        let scripts = Scripts::read("FROM a\nRUN make && \\\n  ls\nRUN <<EOF\nmake\nEOF\n");
        let find = |text: &str| scripts.find(&Step::of(StepId(0), "RUN", text));
        let script = &find("RUN make && ls")[0];
        assert_eq!((&*script.text, script.origins.len()), ("make &&   ls", 2));
        assert_eq!(find("RUN <<EOF (make)")[0].text, "make\n");
        assert_eq!(find("RUN other"), []);
        // A tab after the name (BuildKit HEAD of 2026-08-21).
        assert_eq!(find("RUN\tMAKE && \tls")[0].text, "make &&   ls");
    }

    /// The forms of BuildKit: `V` is an argument with the value 1.
    #[test]
    fn a_step_is_found_by_what_the_builder_shows_of_it() {
        let heredocs = "RUN <<EOF\nmake $V\nls\nEOF\nRUN <<EOF\ncc\nEOF\nRUN <<EOF\nmake $V\ncp\nEOF\n";
        let scripts = Scripts::read(&format!("FROM a\nARG V=1\nRUN make a=$V\nRUN make a=1\n{heredocs}"));
        let found = |text: &str| {
            let found = scripts.find(&Step::of(StepId(0), "RUN", text));
            found.into_iter().map(|script| script.text).collect::<Vec<_>>()
        };
        assert_eq!(found("RUN make a=1"), ["make a=1", "make a=$V"]);
        assert_eq!(found("RUN <<EOF (make 1...)"), ["make $V\nls\n", "make $V\ncp\n"]);
        assert_eq!(found("RUN <<EOF (cc)"), ["cc\n"]);
    }
}
