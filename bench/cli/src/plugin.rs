//! The names under which other programs call this one: `docker buildscope` and a runner of buildbox.
//!
//! A program `buildbox-run-buildscope` is `buildscope runner`: workers of buildbox take the path of a runner without arguments.
//!
//! docker finds a program `docker-buildscope` in its plugin directories, asks it for metadata, and runs it as
//! `docker-buildscope [OPTIONS OF DOCKER] buildscope ARGUMENTS` (docker/cli, cli-plugins/metadata).

use std::ffi::OsString;
use std::path::Path;

/// The name of the program as a plugin.
const PROGRAM: &str = "docker-buildscope";
/// The name of the program as a runner.
const RUNNER: &str = "buildbox-run-buildscope";
/// The options of buildbox's runners that `buildscope runner` has. The others tune connections and logs of buildbox.
const RUNNER_OPTIONS: [&str; 6] = ["--action", "--action-result", "--remote", "--instance", "--capabilities", "--help"];

/// The options of docker that choose a daemon or its configuration, with the environment variable that does the same.
const REFUSED_OPTIONS: [(&str, &str); 5] = [
    ("--context", "DOCKER_HOST"),
    ("-c", "DOCKER_HOST"),
    ("--host", "DOCKER_HOST"),
    ("-H", "DOCKER_HOST"),
    ("--config", "DOCKER_CONFIG"),
];

/// The purpose of the call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// docker asks what the plugin is.
    Metadata,
    /// A command, with the name of the program first.
    Command(Vec<OsString>),
    /// The call has an option of docker that cannot be passed on. The message says which, and what to do.
    Refused(String),
}

/// Reads the arguments of the process.
pub(super) fn arguments(mut arguments: Vec<OsString>) -> Call {
    let name = arguments.first().and_then(|program| Path::new(program).file_stem()).map(ToOwned::to_owned);
    if name.as_deref().is_some_and(|name| name == PROGRAM) {
        match arguments.get(1).and_then(|first| first.to_str()) {
            Some("docker-cli-plugin-metadata") => return Call::Metadata,
            Some(option) if option.starts_with('-') => {
                let end = arguments.iter().position(|argument| argument == "buildscope");
                if let Some(end) = end {
                    let options: Vec<OsString> = arguments.drain(1..=end).collect();
                    if let Some(message) = options.iter().find_map(|option| refusal(&option.to_string_lossy())) {
                        return Call::Refused(message);
                    }
                }
            }
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

/// The reason why an option of docker is refused; `None` if it may be left out, such as `--debug`.
fn refusal(option: &str) -> Option<String> {
    let name = option.split('=').next().unwrap_or(option);
    // A value may follow a short option without a space.
    let is = |refused: &str| name == refused || !refused.starts_with("--") && name.starts_with(refused);
    let (name, variable) = REFUSED_OPTIONS.iter().find(|(refused, _)| is(refused))?;
    Some(format!("docker's option `{name}` does not reach buildscope: set {variable} instead"))
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
    fn options_of_docker_come_before_the_name() {
        assert_eq!(call("docker-buildscope --debug -l info buildscope build ."), command("docker-buildscope build ."));
        for option in ["--context remote", "--context=remote", "-H tcp://x", "-Htcp://x", "--config /d"] {
            let Call::Refused(message) = call(&format!("docker-buildscope {option} buildscope build .")) else {
                panic!("{option} is accepted")
            };
            assert!(message.contains("set DOCKER_"), "{message}");
        }
        // Options of buildscope itself.
        assert_eq!(call("docker-buildscope --version"), command("docker-buildscope --version"));
    }

    #[test]
    fn a_runner_of_buildbox_has_no_name_of_a_command() {
        let arguments = "--remote=http://127.0.0.1:1 --retry-limit=4 --verbose --action=a --action-result=r";
        let expected = "/w/buildbox-run-buildscope runner --remote=http://127.0.0.1:1 --action=a --action-result=r";
        assert_eq!(call(&format!("/w/buildbox-run-buildscope {arguments}")), command(expected));
    }
}
