//! Build tools of the Java virtual machine. Every later command reads their downloads, and no tool locks its directory against other
//! containers.

use crate::arguments::Arguments;
use crate::invocation::Invocation;
use crate::usage::{Cache, Content, DependencyFile, Needs, Prefetch, Sharing, Surroundings, Tool, Usage, Work};

fn store(target: Option<String>) -> Option<Cache> {
    target.map(|target| Cache::new(target, Content::Store, Sharing::Locked))
}

/// Maven.
pub(super) fn maven(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(
        command.arguments(),
        &["-f", "--file", "-pl", "--projects", "-s", "--settings", "-T", "-P", "-rf"],
    );
    if arguments.plain.is_empty() && !arguments.has(&["-f", "--file"]) {
        return None;
    }
    let file = arguments.value(&["-f", "--file"]).unwrap_or("pom.xml");
    let wrapper = command.program() == "mvnw";
    let mut files = vec![DependencyFile::required(file)];
    if wrapper {
        // The wrapper reads `.mvn/wrapper/maven-wrapper.properties`.
        files.extend([DependencyFile::required("mvnw"), DependencyFile::required(".mvn/")]);
    } else {
        files.push(DependencyFile::possible(".mvn/"));
    }
    let fetches = arguments.plain.iter().all(|goal| {
        goal.text.starts_with("dependency:")
            || goal.text.contains("maven-dependency-plugin")
            || goal.text == "verify" && arguments.has(&["--fail-never"])
    });
    let (work, needs) = if fetches && !arguments.plain.is_empty() {
        (Work::Install, Needs::Files(files))
    } else {
        // dependency:go-offline leaves out what plugins fetch, and fails for some projects that build.
        (Work::Build, Needs::Sources(Some(Prefetch { files, command: None })))
    };
    let mut usage = Usage::new(Tool::Maven, work, needs, command);
    usage.offline = arguments.has(&["-o", "--offline"]) || arguments.has(&["-Dmaven.repo.remote"]);
    let given = command.arguments().iter().find_map(|word| word.text.strip_prefix("-Dmaven.repo.local="));
    // Settings and the wrapper's own files are next to the repository.
    let repository = match given {
        Some(folder) => folder.starts_with('/').then(|| folder.to_owned()),
        None => around.below_home(command, &[], ".m2/repository"),
    };
    let wrapper = wrapper.then(|| around.below_home(command, &[], ".m2/wrapper")).flatten();
    Some(usage.caching([store(repository), store(wrapper)]))
}

/// Gradle.
pub(super) fn gradle(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(
        command.arguments(),
        &[
            "-p",
            "--project-dir",
            "-g",
            "--gradle-user-home",
            "-x",
            "--exclude-task",
            "-b",
            "--build-file",
            "-c",
            "-I",
            "--init-script",
        ],
    );
    if arguments.plain.is_empty() && arguments.has(&["--version", "-v"]) {
        return None;
    }
    let mut files = vec![
        DependencyFile::usual("build.gradle*"),
        DependencyFile::usual("settings.gradle*"),
        DependencyFile::possible("gradle.properties"),
        DependencyFile::possible("gradle/"),
        DependencyFile::possible("buildSrc/"),
    ];
    if command.program() == "gradlew" {
        files.push(DependencyFile::required("gradlew"));
    }
    let needs = Needs::Sources(Some(Prefetch { files, command: None }));
    let mut usage = Usage::new(Tool::Gradle, Work::Build, needs, command).at(arguments.value(&["-p", "--project-dir"]));
    usage.offline = arguments.has(&["--offline"]);
    let home = match arguments.value(&["-g", "--gradle-user-home"]) {
        Some(folder) => folder.starts_with('/').then(|| folder.to_owned()),
        None => around.below_home(command, &["GRADLE_USER_HOME"], ".gradle"),
    };
    // The home of Gradle also has settings, which a mount of all of it would hide.
    let parts = ["caches", "wrapper"].map(|part| store(home.as_ref().map(|home| format!("{home}/{part}"))));
    Some(usage.caching(parts))
}

/// sbt, with coursier.
pub(super) fn sbt(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let files = vec![DependencyFile::required("build.sbt"), DependencyFile::possible("project/")];
    let only_update = command.arguments().iter().filter(|word| !word.is_option()).all(|word| word.text == "update");
    let needs = if only_update && command.words.len() > 1 {
        Needs::Files(files)
    } else {
        Needs::Sources(Some(Prefetch { files, command: None }))
    };
    let work = if matches!(needs, Needs::Files(_)) { Work::Install } else { Work::Build };
    let caches = [
        around.below_home(command, &["COURSIER_CACHE"], ".cache/coursier"),
        around.below_home(command, &[], ".ivy2/cache"),
        around.below_home(command, &[], ".sbt/boot"),
    ];
    Some(Usage::new(Tool::Sbt, work, needs, command).caching(caches.map(store)))
}
