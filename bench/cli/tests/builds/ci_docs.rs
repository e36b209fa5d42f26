//! The shell steps of the files in `docs/ci`, run as a CI would run them.

use crate::world::World;
use buildscope_testing::{in_time, test, undisturbed};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The commands of a file: the values of `run:` and the items of `script:` and `after_script:`, without installing.
fn commands(yaml: &str) -> Vec<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut found = Vec::new();
    let mut lines = yaml.lines().peekable();
    while let Some(line) = lines.next() {
        let text = line.trim_start().trim_start_matches("- ");
        let block = text == "run: |" || text == "script:" || text == "after_script:";
        if let Some(command) = text.strip_prefix("run: ").filter(|_| !block) {
            found.push(command.to_owned());
        }
        while let Some(inner) = lines.next_if(|inner| block && indent(inner) > indent(line)) {
            found.push(inner.trim_start().trim_start_matches("- ").to_owned());
        }
    }
    found.retain(|command| !command.starts_with("cargo install"));
    found
}

/// A directory with `buildscope`, and with a `docker` whose `buildx build` is that of buildscope.
fn programs(world: &World) -> String {
    let directory = world.path("bin");
    fs::create_dir(&directory).unwrap();
    let buildscope = world.command(&[]).get_program().to_owned();
    std::os::unix::fs::symlink(&buildscope, directory.join("buildscope")).unwrap();
    let docker = directory.join("docker");
    fs::write(&docker, "#!/bin/sh\nshift\nexec buildscope \"$@\"\n").unwrap();
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", directory.display(), std::env::var("PATH").unwrap())
}

#[test]
fn the_shell_steps_of_every_file_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ci");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        let world = World::new("FROM busybox\nRUN sleep 1.1\n");
        let path = programs(&world);
        let summary = world.path("summary.md");
        let temporary = world.path("temporary");
        fs::create_dir(&temporary).unwrap();
        let commands = commands(&fs::read_to_string(&file).unwrap());
        assert!(commands.len() >= 2, "{file:?}: {commands:?}");
        for command in commands {
            // Jobs of CI have a `/tmp` of their own.
            let command = command.replace("/tmp/", &format!("{}/", temporary.display()));
            let mut shell = Command::new("bash");
            shell.args(["-euo", "pipefail", "-c", &command]).current_dir(world.context());
            shell.env("PATH", &path).env("GITHUB_STEP_SUMMARY", &summary).env("BUILDSCOPE_ROOT", &world.store);
            shell.env("RUNNER_TEMP", &temporary);
            let output = shell.output().unwrap();
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let explanation = world.context().join("explanation.md");
        let written = if summary.exists() { summary } else { explanation };
        let text = fs::read_to_string(written).unwrap();
        assert!(text.contains("```mermaid") && text.contains("`RUN sleep 1.1`"), "{file:?}: {text}");
        assert_eq!(text.matches("### Build").count(), 1, "{file:?}: {text}");
        // A log within the context would be copied by the next `COPY . .` of the same job.
        assert!(!world.context().join("build.rawjson").exists() || file.ends_with("gitlab.yml"), "{file:?}");
    }
}

#[test]
fn a_build_beyond_its_budget_fails_with_the_reason() {
    undisturbed(|factor| {
        let run = format!("RUN sleep {}", 0.3 * f64::from(factor));
        let world = World::new(&format!("FROM busybox\n{run}\n"));
        let output = world.command(&["--budget", "0.1s"]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("more than its budget of 100 ms"), "{stderr}");
        assert!(!output.stdout.is_empty(), "the image is built all the same");
        assert!(world.command(&["--budget", "1h"]).output().unwrap().status.success());
        // On a busy machine, another step may be the longest.
        in_time(stderr.contains(&format!("`{run}`")), stderr)
    });
}

#[test]
fn a_build_slower_than_its_history_fails_with_the_reason() {
    let world = World::new("FROM busybox\nCOPY a /a\nRUN true\n");
    let build = || world.command(&["--max-regression", "20%"]).output().unwrap();
    for content in ["one", "two", "three"] {
        world.write("a", content);
        assert!(build().status.success());
    }
    for _ in 0..3 {
        // Builds from the cache are short, and no baseline for one that runs its steps.
        assert!(build().status.success());
    }
    world.write("a", "four");
    let output = world.command(&["--max-regression", "10000%"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The earlier builds may have been slow, too.
    let mut builds = 4;
    undisturbed(|factor| {
        let nap = format!("sleep {}", 2 * factor);
        world.write("Dockerfile", &format!("FROM busybox\nCOPY a /a\nRUN {nap}\n"));
        world.write("a", &format!("{builds} builds before"));
        let output = build();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        in_time(output.status.code() == Some(1), &stderr).inspect_err(|_| builds += 1)?;
        let median = format!("20 % above the median of {builds} earlier builds");
        assert!(stderr.contains(&median) && stderr.contains(&nap), "{stderr}");
        Ok(())
    });
}
