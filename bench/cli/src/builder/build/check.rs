//! `build --check`, and `# check=error=true`: a Dockerfile with findings is not built.

use super::options::Options;
use crate::Failure;
use crate::check::{Format, Request, Source, Subject};
use buildscope_builder::engine::DockerfileInput;
use buildscope_builder::sources::read_text_within;
use buildscope_dockerfile as dockerfile;
use buildscope_oci::Platform;
use miette::miette;
use std::io;

/// The Dockerfile to check, or `None` if nothing is to be checked.
pub(super) fn subject(options: &Options) -> Result<Option<Subject>, Failure> {
    let request = &options.request;
    // Reading the text twice is cheaper than opening the store, which most builds do not need for this.
    let source = match &request.dockerfile {
        DockerfileInput::Within(file) if request.context.is_dir() => {
            let path = request.context.join(file);
            let read = read_text_within(&request.context, file);
            match read.and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other)) {
                Err(error) if options.check => {
                    return Err(Failure::usage(miette!("{}: {error}", path.display())));
                }
                Err(_) => return Ok(None), // the build reports it
                Ok(text) => Source { name: path.display().to_string(), text, path: Some(path) },
            }
        }
        DockerfileInput::Within(_) if options.check => {
            return Err(Failure::usage(miette!("--check needs a build context that is a directory")));
        }
        DockerfileInput::Within(_) => return Ok(None),
        DockerfileInput::Text { name, text } => Source { name: name.clone(), text: text.clone(), path: None },
        DockerfileInput::File(path) => match Source::file(path) {
            Err(error) if options.check => return Err(error),
            Err(_) => return Ok(None), // the build reports it
            Ok(source) => source,
        },
    };
    let asked = options.check || source.text.contains("check");
    if !asked && !request.build_args.contains_key("BUILDKIT_DOCKERFILE_CHECK") {
        return Ok(None);
    }
    let of_build = Request {
        build_args: request.build_args.clone(),
        target: request.target.clone(),
        platform: Platform::host(),
        contexts: request.named_contexts.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        root: options.root.clone(),
    };
    Subject::new(source, &request.context, of_build, None, Format::Text).map(Some)
}

impl Subject {
    /// Parses and lints: `build --check`.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match dockerfile::parse(&self.source.text) {
            Ok(file) => self.lint(&file),
            Err(_) => self.refuse_text(),
        }
    }

    /// Lints if the file contains `# check=error=true`.
    pub(super) fn check_if_demanded(&self) -> Result<(), Failure> {
        match dockerfile::parse(&self.source.text) {
            Ok(file) if self.options(&file).is_ok_and(|options| options.error) => self.lint(&file),
            _ => Ok(()),
        }
    }
}
