//! `build --check`, `build --call`, and `# check=error=true`: a Dockerfile with findings is not built.

use super::call::{self, Call, Subrequest};
use super::options::Options;
use crate::Failure;
use crate::check::{Answer, CheckSubject, FindingsFormat, OwnRules, Request, Source};
use crate::input::cannot_read;
use buildscope_builder::engine::DockerfileInput;
use buildscope_builder::sources::read_text_within;
use buildscope_dockerfile as dockerfile;
use buildscope_oci::Platform;
use miette::miette;
use std::borrow::Cow;
use std::io;

/// The Dockerfile to check, or `None` if nothing is to be checked.
pub(super) fn subject(options: &Options) -> Result<Option<CheckSubject>, Failure> {
    let asked = options.call.subrequest != Subrequest::Build;
    let request = &options.request;
    // Reading the text twice is cheaper than opening the store, which most builds do not need for this.
    let source = match &request.dockerfile {
        DockerfileInput::Within(file) if request.context.is_dir() => {
            let path = request.context.join(file);
            let read = read_text_within(&request.context, file);
            let decoded =
                read.and_then(|bytes| dockerfile::decode(&bytes).map(Cow::into_owned).map_err(io::Error::other));
            match decoded {
                Err(error) if asked => {
                    return Err(Failure::usage(miette!("{}: {error}", cannot_read(&path))));
                }
                Err(_) => return Ok(None), // the build reports it
                Ok(text) => Source { name: path.display().to_string(), text, path: Some(path) },
            }
        }
        DockerfileInput::Within(_) if asked => {
            return Err(Failure::usage(miette!("--check and --call need a build context that is a directory")));
        }
        DockerfileInput::Within(_) => return Ok(None),
        DockerfileInput::Text { name, text } => Source { name: name.clone(), text: text.clone(), path: None },
        DockerfileInput::File(path) => match Source::file(path) {
            Err(error) if asked => return Err(error),
            Err(_) => return Ok(None), // the build reports it
            Ok(source) => source,
        },
    };
    let demanded = asked || source.text.contains("check");
    if !demanded && !request.build_args.contains_key("BUILDKIT_DOCKERFILE_CHECK") {
        return Ok(None);
    }
    let of_build = Request {
        build_args: request.build_args.clone(),
        target: request.target.clone(),
        platform: request.platforms.first().and_then(|text| text.parse().ok()).unwrap_or_else(Platform::host),
        contexts: request.named_contexts.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        root: options.recording.root.clone(),
        own_rules: OwnRules::Advise,
    };
    let format = if options.call.json { FindingsFormat::Json } else { FindingsFormat::Text };
    CheckSubject::new(source, &request.context, of_build, None, format).map(Some)
}

impl CheckSubject {
    /// The answer of `build --check` and `build --call`.
    pub(super) fn answer(&self, call: Call) -> Result<Answer, Failure> {
        let Ok(file) = dockerfile::parse(&self.source.text) else { return self.refuse_text() };
        match call.subrequest {
            Subrequest::Check | Subrequest::Build => {
                let Answer { shown, end } = self.lint(&file)?;
                let forgiven = call.ignores_findings && matches!(end, Err(Failure::Reported));
                Ok(Answer { shown, end: if forgiven { Ok(()) } else { end } })
            }
            // As with buildx, a target that cannot be built is an error.
            Subrequest::Outline => match self.plan(&file) {
                Ok(()) => self.outline(&file),
                Err(errors) => self.refuse(&file, errors),
            },
            Subrequest::Describe => Ok(Answer { shown: call::described(call.json)?, end: Ok(()) }),
            // All targets are listed, also if one is named, as with buildx; but a wrong name is an error.
            Subrequest::Targets => {
                if let Err(errors) = self.outline_of(&file) {
                    return self.refuse(&file, errors);
                }
                let shown = call::targets(&dockerfile::Outline::of(&file), call.json)?;
                Ok(Answer { shown, end: Ok(()) })
            }
        }
    }

    /// Lints if the file contains `# check=error=true`.
    pub(super) fn check_if_demanded(&self) -> Result<(), Failure> {
        match dockerfile::parse(&self.source.text) {
            Ok(file) if self.options(&file).is_ok_and(|options| options.error) => self.lint(&file)?.print(),
            _ => Ok(()),
        }
    }
}
