//! Every change that the rules suggest for an everyday line gives a Dockerfile that parses and runs the same commands.

use buildscope_commands::rules::{Edit, UsualFiles, late_installs, missing_caches};
use buildscope_commands::{Environments, File, InstructionLine, Source};
use buildscope_dockerfile::{Kind, parse};

/// The edits of each rewrite of a file.
fn rewrites(text: &str, facts: &UsualFiles) -> Vec<Vec<Edit>> {
    let source = Source::read(text);
    let texts: Vec<String> = source.instructions().collect();
    let lines: Vec<_> = texts.iter().map(|text| InstructionLine { text, stage: Some(0) }).collect();
    let file = File::read(&lines, &Environments::new());
    let late = late_installs(&file, facts).into_iter().map(|found| found.edits);
    let caches = missing_caches(&file, facts).into_iter().map(|found| found.edits);
    late.chain(caches).filter(|edits| !edits.is_empty()).collect()
}

/// The words of all RUNs, without flags, separators and what a rewrite may add or leave out.
fn commands(text: &str) -> Vec<String> {
    let file = parse(text).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
    let runs = file.instructions.iter().filter(|instruction| matches!(instruction.kind, Kind::Run(_)));
    let words = runs.flat_map(|run| {
        let line = file.one_line(run);
        line.split_whitespace()
            .skip(1)
            .filter(|word| !word.starts_with("--mount="))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    words
        .filter(|word| !matches!(word.as_str(), "&&" | ";"))
        .map(|word| word.trim_end_matches(';').to_owned())
        .collect()
}

#[test]
fn rewritten_files_parse_and_run_the_same_commands() {
    let facts = UsualFiles::default();
    let table = include_str!("../../../reports/commands/tests/lines.tsv");
    let mut count = 0;
    for row in table.lines().filter(|line| !line.starts_with('#')) {
        let [image, line, ..] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let several = line.replace(" && ", " \\\n    # and\n    && ");
        for run in [line, &several] {
            let text = format!("FROM {image}\n# the project\nWORKDIR /app\nCOPY . .\n\nRUN {run}\nCMD [\"/app/x\"]\n");
            let known = Source::read(&text);
            let instructions: Vec<String> = known.instructions().collect();
            let places: Vec<_> = instructions.iter().map(|text| (text.as_str(), None)).collect();
            for edits in rewrites(&text, &facts) {
                count += 1;
                let better = known.applied(&edits, &known.places(&places)).unwrap();
                let (before, after) = (commands(&text), commands(&better));
                // What empties a cache, or turns it off, may go.
                let may_go = [
                    "rm",
                    "-rf",
                    "/var/lib/apt/lists/*",
                    "/var/cache/dnf",
                    "/var/cache/yum",
                    "--no-cache",
                    "--no-cache-dir",
                    "clean",
                    "all",
                    "cache",
                    "--force",
                    "-afy",
                    "/var/lib/apt/lists",
                    "dnf",
                    "yum",
                    "npm",
                    "conda",
                ];
                let cleans = run.contains(" clean ");
                let goes = |word: &str| may_go.contains(&word) || cleans && ["-ya", "--all"].contains(&word);
                let lost: Vec<_> = before.iter().filter(|word| !after.contains(word) && !goes(word)).collect();
                assert!(lost.is_empty(), "{lost:?} in\n{better}");
                assert!(better.contains("# the project\nWORKDIR /app\n"), "{better}");
                let copied = |name: &str| {
                    better
                        .lines()
                        .filter(|line| line.starts_with("COPY"))
                        .any(|line| line.split_whitespace().any(|word| word == name))
                };
                for word in better
                    .lines()
                    .filter(|line| line.starts_with("COPY"))
                    .flat_map(|line| line.split_whitespace().skip(1))
                {
                    let source = !word.starts_with('.') && !word.ends_with('/');
                    assert!(!source || copied(word) && facts.contains(word), "{word} is not in the context:\n{better}");
                }
            }
        }
    }
    assert!(count > 100, "{count} rewrites");
}
