//! The definition files, and where their variables come from.

use super::Arguments;
use crate::Failure;
use buildscope_bake::{File, Inputs, read_bounded, read_text};
use buildscope_oci::Platform;
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

/// Reads the definition files.
pub(super) fn read(arguments: &Arguments) -> Result<Vec<File>, Failure> {
    if let Some(url) = arguments.target.first().filter(|target| target.contains("://") || target.starts_with("git@")) {
        return Err(Failure::usage(miette!(
            help = "clone the repository, and run bake in it",
            "definitions from a git repository or a URL ({url}) are not supported yet"
        )));
    }
    let mut files = Vec::new();
    if arguments.file.is_empty() {
        for name in DEFAULT.into_iter().filter(|name| Path::new(name).exists()) {
            files.push(file(Path::new(name), read_text(name))?);
        }
    }
    for name in &arguments.file {
        let local = name.strip_prefix("cwd://").unwrap_or(name);
        files.push(file(local, named(local))?);
    }
    if files.is_empty() {
        return Err(Failure::usage(miette!(
            help = "write docker-bake.hcl or compose.yaml, or name a file with --file",
            "couldn't find a bake definition"
        )));
    }
    Ok(files)
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
    let hidden = std::env::var(NO_ENVIRONMENT)
        .is_ok_and(|text| matches!(text.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"));
    let mut inputs = Inputs { dotenv: dotenv()?, ..Inputs::default() };
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
    inputs.builtins.insert("BAKE_CMD_CONTEXT".into(), "cwd://".into());
    inputs.builtins.insert("BAKE_LOCAL_PLATFORM".into(), Platform::host().to_string());
    Ok(inputs)
}
