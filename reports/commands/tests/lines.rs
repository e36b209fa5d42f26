//! Every line of `lines.tsv` gets its right answer.

use buildscope_commands::{
    DependencyFile, Environments, File, InstructionLine, Needs, Presence, Sharing, Usage, Work, join,
};

fn files(usage: &Usage, files: &[DependencyFile]) -> String {
    let folder = usage.folder.as_deref().unwrap_or("?");
    let shown = files.iter().filter(|file| file.presence != Presence::Possible);
    shown.map(|file| join(folder, &file.path)).collect::<Vec<_>>().join(" ")
}

fn needs(usage: &Usage) -> String {
    match &usage.needs {
        Needs::Nothing => "nothing".into(),
        Needs::Files(needed) => files(usage, needed),
        Needs::Sources(None) => "sources".into(),
        Needs::Sources(Some(fetch)) => {
            let command = fetch.command.as_ref().map(|command| format!(": {command}")).unwrap_or_default();
            format!("sources, {} first{command}", files(usage, &fetch.files))
        }
    }
}

/// What the line needs, and its mounts.
fn answer(image: &str, line: &str) -> (String, String) {
    let (from, run) = (format!("FROM {image}"), format!("RUN {line}"));
    let lines = [&from, &run].map(|text| InstructionLine { text, stage: Some(0) });
    let file = File::read(&lines, &Environments::new());
    let run = file.steps[1].run.as_ref().unwrap();
    let working = || run.usages.iter().filter(|(_, _, usage)| matches!(usage.work, Work::Install | Work::Build));
    let shown = working().map(|(_, _, usage)| needs(usage)).collect::<Vec<_>>().join(" + ");
    let mut mounts: Vec<String> = Vec::new();
    for cache in working().flat_map(|(_, _, usage)| &usage.caches) {
        let mount = format!("{}{}", cache.target, if cache.sharing == Sharing::Locked { "!" } else { "" });
        if !mounts.contains(&mount) {
            mounts.push(mount);
        }
    }
    let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    // `corepack enable`, settings and clean-up need nothing and are not shown; two equal needs are.
    (or_none(shown), or_none(mounts.join(" ")))
}

#[test]
fn every_line_has_its_right_answer() {
    let table = include_str!("lines.tsv");
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let (mut count, mut wrong) = (0, Vec::new());
    for row in rows {
        let [image, line, needs, mounts] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("four columns: {row}")
        };
        let found = answer(image, line);
        count += 1;
        if found != (needs.to_owned(), mounts.to_owned()) {
            wrong.push(format!("{line}\n  wanted: {needs} | {mounts}\n  found:  {} | {}", found.0, found.1));
        }
    }
    #[expect(clippy::print_stdout, reason = "scripts/everyday-lines reads it")]
    {
        println!("{} of {count} lines have their right answer", count - wrong.len());
    }
    assert!(count >= 60 && wrong.is_empty(), "{}", wrong.join("\n"));
}
