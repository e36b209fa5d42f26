//! Build tools of the Java virtual machine. Every later command reads their downloads, and no tool locks its directory against other
//! containers.

use crate::arguments::Arguments;
use crate::invocation::Invocation;
use crate::usage::{Cache, Content, DependencyFile, Needs, Prefetch, Sharing, Surroundings, Tool, Usage, Work};

fn store(target: Option<String>) -> Option<Cache> {
    target.map(|target| Cache::new(target, Content::Store, Sharing::Locked))
}

/// A wrapper script without tasks, such as `./gradlew --version`, fetches the build tool, with the files of the wrapper alone.
fn wrapper(tool: Tool, command: &Invocation, files: &[&str], target: Option<String>) -> Option<Usage> {
    if command.program() != files[0] {
        return None;
    }
    let files = files.iter().map(|file| DependencyFile::required(*file)).collect();
    Some(Usage::new(tool, Work::Install, Needs::Files(files), command).caching([store(target)]))
}

/// Maven.
pub(super) fn maven(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(
        command.arguments(),
        &["-f", "--file", "-pl", "--projects", "-s", "--settings", "-T", "-P", "-rf"],
    );
    if arguments.plain.is_empty() && !arguments.has(&["-f", "--file"]) {
        return wrapper(Tool::Maven, command, &["mvnw", ".mvn/"], around.below_home(command, &[], ".m2/wrapper"));
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
    // The files of the chosen modules are needed, too.
    let chooses = arguments.has(&["-pl", "--projects", "-am", "--also-make"]);
    let (work, needs) = if fetches && !chooses && !arguments.plain.is_empty() {
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
    let home = match arguments.value(&["-g", "--gradle-user-home"]) {
        Some(folder) => folder.starts_with('/').then(|| folder.to_owned()),
        None => around.below_home(command, &["GRADLE_USER_HOME"], ".gradle"),
    };
    let part = |part: &str| home.as_ref().map(|home| format!("{home}/{part}"));
    if arguments.plain.is_empty() && arguments.has(&["--version", "-v"]) {
        return wrapper(Tool::Gradle, command, &["gradlew", "gradle/"], part("wrapper"));
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
    // These tasks resolve the dependencies and compile nothing.
    let reports = ["dependencies", "buildEnvironment", "dependencyInsight"];
    let resolves = arguments.plain.iter().all(|task| reports.contains(&task.text.trim_start_matches(':')));
    let (work, needs) = if resolves && !arguments.plain.is_empty() {
        (Work::Install, Needs::Files(files))
    } else {
        (Work::Build, Needs::Sources(Some(Prefetch { files, command: None })))
    };
    let mut usage = Usage::new(Tool::Gradle, work, needs, command).at(arguments.value(&["-p", "--project-dir"]));
    usage.offline = arguments.has(&["--offline"]);
    // The home of Gradle also has settings, which a mount of all of it would hide.
    Some(usage.caching(["caches", "wrapper"].map(|name| store(part(name)))))
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
