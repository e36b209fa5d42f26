//! Maven, Gradle, sbt and the Java compiler.

use super::Activity::{Compile, Download, Link, Pack, Plan, Test, Unpack};
use super::{Family, LineRule, ProcessRule, begins, by_lines, ended, interrupts, rule};

/// Both tools run in one Java process and tests mostly in another.
const RULES: &[ProcessRule] = &[
    rule(&["java"], "surefire", Test),
    rule(&["java"], "worker.org.gradle.process.internal.worker", Test),
    rule(&["javac", "kotlinc", "scalac"], "", Compile),
    rule(&["jlink"], "", Link),
    rule(&["jar"], "", Pack),
    rule(&["mvn*", "mvnw", "java"], "dependency:go-offline", Download),
    rule(&["mvn*", "mvnw", "java"], "dependency:resolve", Download),
    by_lines(&["java"], "plexus-classworlds", Compile),
    rule(&["java"], "gradle =--stop", Plan),
    by_lines(&["java"], "gradle", Compile),
    by_lines(&["java"], "sbt-launch", Compile),
    rule(&["mvn*", "mvnw", "gradle*", "sbt"], "", Plan),
];

/// Lines as Maven 3, Gradle 8 and sbt print them. A line of Maven with `---` is the start of a plugin. A line of Gradle with `> Task` has
/// the task's outcome, so it is printed when the task has ended. Gradle before 4.7 prints the name of the task alone, at its end or before its
/// output.
const LINES: &[LineRule] = &[
    begins("[INFO] Scanning for projects", Plan),
    interrupts("Downloading from ", Download),
    interrupts("[INFO] Downloading from ", Download),
    ended("Downloaded from ", Download),
    ended("[INFO] Downloaded from ", Download),
    begins("[INFO] --- *compiler*:*ompile", Compile),
    begins("[INFO] --- *kotlin*:*ompile", Compile),
    begins("[INFO] --- *surefire*:test", Test),
    begins("[INFO] --- *failsafe*:integration-test", Test),
    begins("[INFO] --- *jar*:jar", Pack),
    begins("[INFO] --- *war*:war", Pack),
    begins("[INFO] --- *shade*:shade", Pack),
    begins("[INFO] --- *spring-boot*:repackage", Pack),
    begins("[INFO] --- *resources*:", Unpack),
    begins("[INFO] --- *install*:install", Unpack),
    begins("[INFO] --- ", Plan),
    begins("[INFO] BUILD ", Plan).last(),
    begins("Downloading https://services.gradle.org/", Download),
    begins("Starting a Gradle Daemon", Plan),
    ended("Welcome to Gradle ", Download),
    begins("To honour the JVM settings for this build", Plan),
    // Such a task did nothing.
    ended("> Task * UP-TO-DATE", Plan),
    ended("> Task * NO-SOURCE", Plan),
    ended("> Task * FROM-CACHE", Plan),
    ended("> Task * SKIPPED", Plan),
    ended(":* UP-TO-DATE", Plan),
    ended(":* NO-SOURCE", Plan),
    ended(":* SKIPPED", Plan),
    ended("> Task *:compile", Compile),
    ended("> Task *:kapt", Compile),
    ended("> Task *:ksp", Compile),
    ended("> Task *:process", Unpack),
    ended("> Task *:testClasses", Compile),
    ended("> Task *:test", Test),
    ended("> Task *:integrationTest", Test),
    ended("> Task *:check", Test),
    ended("> Task *:jar", Pack),
    ended("> Task *:bootJar", Pack),
    ended("> Task *:shadowJar", Pack),
    ended("> Task *:war", Pack),
    ended("> Task *:bootWar", Pack),
    ended("> Task *:dist", Pack),
    ended(":compile", Compile),
    ended(":*:compile", Compile),
    ended(":process", Unpack),
    ended(":*:process", Unpack),
    ended(":testClasses", Compile),
    ended(":*:testClasses", Compile),
    ended(":test", Test),
    ended(":*:test", Test),
    ended(":check", Test),
    ended(":jar", Pack),
    ended(":*:jar", Pack),
    ended(":war", Pack),
    ended(":*:war", Pack),
    ended(":dist", Pack),
    ended(":*:dist", Pack),
    begins("BUILD SUCCESSFUL in ", Plan).took().last(),
    begins("BUILD FAILED in ", Plan).took().last(),
    begins("[info] compiling ", Compile),
];

pub(super) const FAMILY: Family =
    Family { names: &["mvn", "mvnw", "gradle", "gradlew", "sbt", "java", "javac"], rules: RULES, lines: LINES };

#[cfg(test)]
mod tests {
    use super::super::{Says, line, of};
    use super::*;

    #[test]
    fn compiling_packing_and_testing_differ() {
        assert_eq!(of("/usr/lib/jvm/java/bin/java -jar /tmp/surefire123/surefirebooter.jar"), Some(Test));
        assert_eq!(of("javac -d out A.java"), Some(Compile));
        assert_eq!(of("jar cf a.jar out"), Some(Pack));
        assert_eq!(of("java -jar server.jar"), None);
    }

    #[test]
    fn lines_of_maven_and_gradle_say_what_they_do() {
        let says = |text| line(text).map(|line| line.says);
        assert_eq!(
            says("[INFO] --- maven-compiler-plugin:3.11.0:compile (default-compile) @ x ---"),
            Some(Says::Begins(Compile))
        );
        assert_eq!(
            says("[INFO] --- compiler:3.13.0:testCompile (default-testCompile) @ x ---"),
            Some(Says::Begins(Compile))
        );
        assert_eq!(says("[INFO] --- surefire:3.2.5:test (default-test) @ x ---"), Some(Says::Begins(Test)));
        assert_eq!(says("[INFO] --- jar:3.4.1:jar (default-jar) @ x ---"), Some(Says::Begins(Pack)));
        assert_eq!(says("> Task :app:compileJava"), Some(Says::Ended(Compile)));
        assert_eq!(says("> Task :test"), Some(Says::Ended(Test)));
        assert_eq!(says("> Task :bootJar"), Some(Says::Ended(Pack)));
        assert_eq!(says("> Task :startScripts"), None);
        // Gradle 4.4.
        assert_eq!(says(":compileJava"), Some(Says::Ended(Compile)));
        assert_eq!(says(":app:jar"), Some(Says::Ended(Pack)));
        assert_eq!(says(":processResources NO-SOURCE"), Some(Says::Ended(Plan)));
        assert_eq!(says(":assemble"), None);
        let download = line("Downloaded from central: https://example.com/a.jar (1 kB)").unwrap();
        assert!(download.names.contains(&"mvn"), "{:?}", download.names);
    }
}
