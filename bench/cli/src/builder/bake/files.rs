//! The definition files, and where their variables come from.

use super::Arguments;
use super::remote::Remote;
use crate::Failure;
use buildscope_bake::{File, Inputs, read_bounded, read_text};
use buildscope_oci::{Platform, go_bool};
use miette::{IntoDiagnostic, WrapErr, miette};
use std::path::Path;
use std::{fs, io};

/// The files that are read without --file, as far as they exist.
const DEFAULT: [&str; 8] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
];

/// Keeps variables from being read from the environment.
const NO_ENVIRONMENT: &str = "BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP";

/// Makes local contexts relative to the file that names them.
const FILE_RELATIVE: &str = "BUILDX_BAKE_FILE_RELATIVE_PATHS";

/// The definition, and where it comes from.
pub(super) struct DefinitionSource {
    pub(super) files: Vec<File>,
    /// The repository, if the files are not of this directory.
    pub(super) remote: Option<Remote>,
}

/// Reads the definition files: of the repository that the first argument names, else of this directory.
pub(super) fn read(arguments: &Arguments) -> Result<DefinitionSource, Failure> {
    let remote = match arguments.repository() {
        Some(address) => Some(Remote::fetch(address, &arguments.root.resolve()?)?),
        None => None,
    };
    let directory = remote.as_ref().map_or(Path::new(""), Remote::directory);
    let (mut files, given) = (Vec::new(), arguments.files());
    if given.is_empty() {
        for name in DEFAULT.into_iter().filter(|name| directory.join(name).exists()) {
            let text = remote.as_ref().map_or_else(|| read_text(name), |remote| remote.read(Path::new(name)));
            files.push(file(Path::new(name), text)?);
        }
    }
    for name in &given {
        files.push(match (name.strip_prefix("cwd://"), &remote) {
            (Err(_), Some(remote)) if name != Path::new("-") => file(name, remote.read(name))?,
            (local, _) => {
                let path = local.unwrap_or(name);
                file(path, named(path))?
            }
        });
    }
    if files.is_empty() {
        return Err(Failure::usage(miette!(
            help = "write docker-bake.hcl or compose.yaml, or name a file with --file",
            "couldn't find a bake definition"
        )));
    }
    Ok(DefinitionSource { files, remote })
}

/// A file that --file names, which may be a pipe.
fn named(path: &Path) -> io::Result<String> {
    if path == Path::new("-") { read_bounded(io::stdin()) } else { fs::File::open(path).and_then(read_bounded) }
}

fn file(path: &Path, text: io::Result<String>) -> Result<File, Failure> {
    let text = text.into_diagnostic().wrap_err_with(|| format!("cannot read {}", path.display()));
    Ok(File { name: path.display().to_string(), text: text.map_err(Failure::Usage)? })
}

/// The text of `.env`, if it is a file.
fn dotenv() -> Result<Option<String>, Failure> {
    let path = Path::new(".env");
    if !path.exists() || path.is_dir() {
        return Ok(None);
    }
    file(path, read_text(path)).map(|file| Some(file.text))
}

/// The environment, `--var`, `.env` and the variables that bake defines.
pub(super) fn inputs(arguments: &Arguments) -> Result<Inputs, Failure> {
    let hidden = std::env::var(NO_ENVIRONMENT).is_ok_and(|text| go_bool(&text) == Some(true));
    let file_relative = match std::env::var(FILE_RELATIVE) {
        Ok(text) if !text.is_empty() => go_bool(&text)
            .ok_or_else(|| Failure::usage(miette!("{FILE_RELATIVE} takes true or false, not `{text}`")))?,
        _ => false,
    };
    let mut inputs = Inputs { dotenv: dotenv()?, file_relative, ..Inputs::default() };
    if !hidden {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        inputs.environment = std::env::vars_os().filter_map(text).collect();
    }
    for variable in arguments.var.iter().filter(|variable| !variable.is_empty()) {
        match variable.split_once('=') {
            Some(("", _)) => return Err(Failure::usage(miette!("invalid variable \"{variable}\", key is empty"))),
            Some((name, value)) => inputs.variables.insert(name.to_owned(), value.to_owned()),
            None => return Err(Failure::usage(miette!("invalid variable \"{variable}\", expected key=value"))),
        };
    }
    inputs.builtins.insert("BAKE_CMD_CONTEXT".into(), arguments.command_context().to_owned());
    inputs.builtins.insert("BAKE_LOCAL_PLATFORM".into(), Platform::host().to_string());
    Ok(inputs)
}
