//! Other builders: their build commands, and how their images are exported for checking.

use super::planned::StepCache;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Another builder, found on this machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// The name on the command line and in tables.
    pub name: String,
    /// The version that it reports.
    pub version: Option<String>,
    tool: PeerTool,
}

/// The way to invoke it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum PeerTool {
    /// `docker build` with this value of `DOCKER_BUILDKIT`.
    Docker(&'static str),
    /// `docker buildx build`.
    Buildx,
    /// `buildctl build`.
    Buildctl,
    /// `buildah build`.
    Buildah,
    /// `podman build`.
    Podman,
    /// The executor of kaniko at this path.
    Kaniko(PathBuf),
    /// A shell command.
    Template(String),
}

/// The reason why a peer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The name is unknown and not a template.
    #[error(
        "unknown peer `{0}`: use docker-classic, docker-buildkit, buildx, buildctl, buildah, podman, kaniko, or NAME='COMMAND {{context}}'"
    )]
    Unknown(String),
    /// The program does not answer on this machine.
    #[error("`{command}` does not answer: {reason}")]
    Absent {
        /// The command that was tried.
        command: String,
        /// The reason, or the output of the command.
        reason: String,
    },
    /// A template without `{context}`.
    #[error("the command of peer `{0}` lacks {{context}}")]
    NoContext(String),
}

impl Peer {
    /// Finds the peer of that name and asks for its version. NAME=COMMAND defines a peer by a shell command in which
    /// `{context}`, `{no_cache}` (`--no-cache` or empty) and `{tag}` are replaced.
    pub fn find(text: &str) -> Result<Self, PeerError> {
        if let Some((name, command)) = text.split_once('=') {
            if !command.contains("{context}") {
                return Err(PeerError::NoContext(name.to_owned()));
            }
            return Ok(Self { name: name.to_owned(), version: None, tool: PeerTool::Template(command.to_owned()) });
        }
        let (tool, ask): (_, &[&str]) = match text {
            "docker-classic" => (PeerTool::Docker("0"), &["docker", "version", "--format", "{{.Server.Version}}"]),
            "docker-buildkit" => (PeerTool::Docker("1"), &["docker", "version", "--format", "{{.Server.Version}}"]),
            "buildx" => (PeerTool::Buildx, &["docker", "buildx", "version"]),
            "buildctl" => (PeerTool::Buildctl, &["buildctl", "debug", "info"]),
            "buildah" => (PeerTool::Buildah, &["buildah", "--version"]),
            "podman" => (PeerTool::Podman, &["podman", "--version"]),
            "kaniko" => (PeerTool::Kaniko("/kaniko/executor".into()), &["/kaniko/executor", "version"]),
            _ => return Err(PeerError::Unknown(text.to_owned())),
        };
        let absent = |reason: String| PeerError::Absent { command: ask.join(" "), reason };
        let output = Command::new(ask[0]).args(&ask[1..]).output().map_err(|error| absent(error.to_string()))?;
        if !output.status.success() {
            return Err(absent(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        if let PeerTool::Docker(buildkit) = tool {
            // Docker clients from version 23 have BuildKit in a plugin, which may be missing.
            let help = Command::new("docker").args(["build", "--help"]).env("DOCKER_BUILDKIT", buildkit).output();
            let failed =
                |reason| PeerError::Absent { command: format!("DOCKER_BUILDKIT={buildkit} docker build"), reason };
            let help = help.map_err(|error| failed(error.to_string()))?;
            if !help.status.success() {
                return Err(failed(String::from_utf8_lossy(&help.stderr).trim().to_owned()));
            }
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        let version = printed.lines().next().and_then(version);
        Ok(Self { name: text.to_owned(), version, tool })
    }

    /// The command that builds `context` and names the image `tag`. `bases` is a folder of OCI layouts by name, for
    /// builders that cannot load images beforehand. kaniko and buildctl write the image to `archive`.
    pub(super) fn command(
        &self,
        context: &Path,
        tag: &str,
        cache: StepCache,
        bases: Option<&Path>,
        archive: &Path,
    ) -> Command {
        let cold = cache.flag();
        let mut command;
        match &self.tool {
            PeerTool::Docker(buildkit) => {
                command = Command::new("docker");
                command.env("DOCKER_BUILDKIT", buildkit).args(["build", "--network=host"]).args(cold);
                if *buildkit == "1" {
                    command.arg("--progress=plain");
                }
                command.args(["-t", tag]).arg(context);
            }
            PeerTool::Buildx => {
                command = Command::new("docker");
                command
                    .args(["buildx", "build", "--load", "--progress=rawjson", "--network=host"])
                    .args(cold)
                    .args(["-t", tag])
                    .arg(context);
            }
            PeerTool::Buildctl => {
                let local = |what: &str| {
                    let mut text = OsString::from(format!("{what}="));
                    text.push(context);
                    text
                };
                command = Command::new("buildctl");
                command.args(["build", "--progress=rawjson", "--frontend=dockerfile.v0"]).args(cold);
                command.arg("--local").arg(local("context")).arg("--local").arg(local("dockerfile"));
                for (name, layout) in layouts(bases) {
                    command.arg("--oci-layout").arg(format!("{name}={}", layout.display()));
                    command.arg("--opt").arg(format!("context:{name}=oci-layout://{name}:latest"));
                }
                command.arg("--output").arg(format!("type=oci,dest={}", archive.display()));
            }
            PeerTool::Buildah => {
                command = Command::new("buildah");
                command.args(["build", "--layers", "--network=host"]).args(cold).args(["-t", tag]).arg(context);
            }
            PeerTool::Podman => {
                command = Command::new("podman");
                command.args(["build", "--layers", "--network=host"]).args(cold).args(["-t", tag]).arg(context);
            }
            PeerTool::Kaniko(executor) => {
                command = Command::new(executor);
                command.args(["--no-push", "--cleanup"]).arg(format!("--context=dir://{}", context.display()));
                command.arg(format!("--destination={tag}")).arg(format!("--tar-path={}", archive.display()));
            }
            PeerTool::Template(template) => {
                let filled = template
                    .replace("{context}", &context.display().to_string())
                    .replace("{no_cache}", cold.unwrap_or_default())
                    .replace("{tag}", tag);
                command = Command::new("/bin/sh");
                command.arg("-c").arg(filled);
            }
        }
        command
    }

    /// The command that exports the image `tag` to `archive`; `None` if the build already wrote it, or if the builder
    /// cannot export.
    pub(super) fn save(&self, tag: &str, archive: &Path) -> Option<Command> {
        let mut command = Command::new("docker");
        match &self.tool {
            PeerTool::Docker(_) | PeerTool::Buildx => command.args(["save", tag, "-o"]).arg(archive),
            PeerTool::Buildah => {
                command = Command::new("buildah");
                command.args(["push", tag]).arg(format!("oci-archive:{}", archive.display()))
            }
            PeerTool::Podman => {
                command = Command::new("podman");
                command.args(["save", "--format=oci-archive", "-o"]).arg(archive).arg(tag)
            }
            PeerTool::Buildctl | PeerTool::Kaniko(_) | PeerTool::Template(_) => return None,
        };
        Some(command)
    }

    /// Whether its images lack layers of steps without changes. The classic builder of docker and kaniko omit them;
    /// BuildKit and buildah write empty layers.
    pub(super) fn leaves_out_empty_layers(&self) -> bool {
        matches!(self.tool, PeerTool::Docker("0") | PeerTool::Kaniko(_))
    }

    /// Whether its image can be checked.
    pub(super) fn can_be_checked(&self) -> bool {
        !matches!(self.tool, PeerTool::Template(_))
    }
}

/// Returns the first word of a program's version output that looks like a version.
fn version(text: &str) -> Option<String> {
    let is_one =
        |word: &&str| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    text.split_whitespace().find(is_one).map(|word| word.trim_matches(',').to_owned())
}

/// The OCI layouts in a folder: (name, path).
fn layouts(bases: Option<&Path>) -> Vec<(String, PathBuf)> {
    let entries = bases.and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let layout = |entry: std::fs::DirEntry| {
        let path = entry.path();
        path.join("index.json").is_file().then(|| (entry.file_name().to_string_lossy().into_owned(), path))
    };
    entries.filter_map(layout).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_placeholders_are_replaced() {
        let peer = Peer::find("mine=build {no_cache} -t {tag} {context}").unwrap();
        let command = |cache| {
            let command = peer.command(Path::new("/ctx"), "t:1", cache, None, Path::new("/a.tar"));
            command.get_args().last().unwrap().to_string_lossy().into_owned()
        };
        assert_eq!(
            (command(StepCache::Ignore), command(StepCache::Use)),
            ("build --no-cache -t t:1 /ctx".into(), "build  -t t:1 /ctx".into())
        );
        assert!(!peer.can_be_checked());
    }

    #[test]
    fn versions_are_found_in_version_output() {
        for (text, expected) in [
            ("20.10.24+dfsg1", Some("20.10.24+dfsg1")),
            ("buildah version 1.28.2 (image-spec 1.1.0-rc2, runtime-spec 1.0.2-dev)", Some("1.28.2")),
            ("podman version 4.3.1", Some("4.3.1")),
            ("github.com/docker/buildx v0.13.1 788433953af10f2a698f5c07611dddce2e08c7a0", Some("v0.13.1")),
            ("Kaniko version :  v1.9.1", Some("v1.9.1")),
            ("Usage:", None),
        ] {
            assert_eq!(version(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn unknown_peers_are_rejected() {
        assert!(matches!(Peer::find("nix"), Err(PeerError::Unknown(_))));
        assert!(matches!(Peer::find("mine=build ."), Err(PeerError::NoContext(_))));
    }
}
