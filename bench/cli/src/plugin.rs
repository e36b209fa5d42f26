//! The names under which other programs call this one: `docker buildscope` and a runner of buildbox.
//!
//! A program `buildbox-run-buildscope` is `buildscope runner`: workers of buildbox take the path of a runner without arguments.
//!
//! docker finds a program `docker-buildscope` in its plugin directories, asks it for metadata, and runs it as
//! `docker-buildscope buildscope ARGUMENTS` (docker/cli, cli-plugins/metadata).

use std::ffi::OsString;
use std::path::Path;

/// The name of the program as a plugin.
const PROGRAM: &str = "docker-buildscope";
/// The name of the program as a runner.
const RUNNER: &str = "buildbox-run-buildscope";
/// The options of buildbox's runners that `buildscope runner` has. The others tune connections and logs of buildbox.
const RUNNER_OPTIONS: [&str; 6] = ["--action", "--action-result", "--remote", "--instance", "--capabilities", "--help"];

/// What the program was called for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// docker asks what the plugin is.
    Metadata,
    /// A command, with the name of the program first.
    Command(Vec<OsString>),
}

/// Reads the arguments of the process.
pub(super) fn arguments(mut arguments: Vec<OsString>) -> Call {
    let name = arguments.first().and_then(|program| Path::new(program).file_stem()).map(ToOwned::to_owned);
    if name.as_deref().is_some_and(|name| name == PROGRAM) {
        match arguments.get(1).and_then(|first| first.to_str()) {
            Some("docker-cli-plugin-metadata") => return Call::Metadata,
            Some("buildscope") => drop(arguments.remove(1)),
            _ => {}
        }
    }
    if name.is_some_and(|name| name == RUNNER) {
        let known = |argument: &OsString| {
            let argument = argument.to_string_lossy();
            RUNNER_OPTIONS.contains(&argument.split('=').next().unwrap_or_default())
        };
        let options = arguments.split_off(1).into_iter().filter(known);
        arguments.push("runner".into());
        arguments.extend(options);
    }
    Call::Command(arguments)
}

/// The metadata as docker reads it.
pub(super) fn metadata() -> String {
    let metadata = serde_json::json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "buildscope",
        "Version": env!("CARGO_PKG_VERSION"),
        "ShortDescription": "Build images and show where every second went",
    });
    format!("{metadata}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(words: &str) -> Call {
        arguments(words.split(' ').map(OsString::from).collect())
    }

    fn command(words: &str) -> Call {
        Call::Command(words.split(' ').map(OsString::from).collect())
    }

    #[test]
    fn only_the_plugin_drops_its_own_name() {
        assert_eq!(call("/p/docker-buildscope docker-cli-plugin-metadata"), Call::Metadata);
        assert_eq!(call("/p/docker-buildscope buildscope build ."), command("/p/docker-buildscope build ."));
        assert_eq!(call("docker-buildscope build buildscope"), command("docker-buildscope build buildscope"));
        assert_eq!(call("buildscope buildscope"), command("buildscope buildscope"));
    }

    #[test]
    fn a_runner_of_buildbox_has_no_name_of_a_command() {
        let arguments = "--remote=http://127.0.0.1:1 --retry-limit=4 --verbose --action=a --action-result=r";
        let expected = "/w/buildbox-run-buildscope runner --remote=http://127.0.0.1:1 --action=a --action-result=r";
        assert_eq!(call(&format!("/w/buildbox-run-buildscope {arguments}")), command(expected));
    }
}
