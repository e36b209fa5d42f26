//! Resolves the command line of `build`: fills in defaults and rejects unsupported options.

use super::super::progress::ProgressMode;
use super::super::recording::Recording;
use super::arguments::Arguments;
use super::call::{Call, Subrequest};
use super::docker_flags::granularity;
use super::flag_values::size;
use crate::builds::Subject;
use crate::check::{Answer, Source};
use crate::output::flag_of_stdout;
use crate::{Failure, destination};
use buildscope_builder::engine::{DockerfileInput, Request};
use buildscope_builder::images::RegistryOptions;
use buildscope_builder::plan::{SOURCE_DATE_EPOCH, is_git, is_url};
use buildscope_dockerfile::Keyword;
use buildscope_record::{Admission, Delayed, DriverChoice, Phase, UnknownName, redacted};
use buildscope_storage::{StoreOptions, SyncPolicy, spare_memory};
use miette::{IntoDiagnostic, WrapErr, miette};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// A build that is ready to run.
#[derive(Debug)]
pub(in crate::builder) struct Options {
    pub(super) call: Call,
    pub(in crate::builder) request: Request,
    pub(in crate::builder) store: StoreOptions,
    pub(in crate::builder) recording: Recording,
    pub(super) iidfile: Option<PathBuf>,
    pub(super) metadata_file: Option<PathBuf>,
    /// Whether the image ID is printed: no file of the build is standard output.
    pub(super) prints_id: bool,
    pub(super) pprof: Option<PathBuf>,
    pub(super) delay: Option<(Delayed, Duration)>,
}

impl Options {
    /// What to do with the Dockerfile.
    pub(in crate::builder) fn call(&self) -> Call {
        self.call
    }

    /// The answer to `--call` and `--check`, or `None` if the image is to be built.
    pub(in crate::builder) fn answer(&self) -> Result<Option<Answer>, Failure> {
        super::check::subject(self)?.map(|subject| subject.answer(self.call)).transpose()
    }
}

impl Arguments {
    pub(in crate::builder) fn resolve(self) -> Result<Options, Failure> {
        self.check_flags()?;
        let call = if self.check { Call { subrequest: Subrequest::Check, ..self.call } } else { self.call };
        let request = self.request()?;
        let image = request.writes_to_stdout().then_some(Path::new("-"));
        let stdout =
            flag_of_stdout(self.recording.results().into_iter().chain(self.results()).chain([("--output", image)]))?;
        let memory = match self.tmpfs_upper.as_str() {
            "auto" => spare_memory(),
            bytes => size("--tmpfs-upper", bytes)?,
        };
        let store = StoreOptions {
            driver: named::<DriverChoice>("--driver", &self.driver)?,
            sync: sync_policy(&self.sync)?,
            memory: Some(memory).filter(|bytes| *bytes > 0),
        };
        let mut recording = self.recording.clone();
        if self.quiet {
            recording.progress = ProgressMode::Quiet;
        }
        Ok(Options {
            call,
            recording: recording.resolve(&self.root, self.subject(), request.tags.clone())?,
            request,
            store,
            iidfile: self.iidfile,
            metadata_file: self.metadata_file,
            prints_id: stdout.is_none(),
            pprof: self.pprof,
            delay: self.delay.as_deref().map(delay).transpose()?,
        })
    }

    /// Rejects what is not supported, does not fit together, or would fail only at the end of the build.
    fn check_flags(&self) -> Result<(), Failure> {
        self.docker.check()?;
        self.recording.check()?;
        self.check_destinations()
    }

    /// The request to the engine.
    fn request(&self) -> Result<Request, Failure> {
        let dockerfile = self.dockerfile()?;
        let context_file = (self.context == Path::new("-")).then(standard_input).transpose()?;
        if !self.is_elsewhere() && !self.context.is_dir() {
            return Err(Failure::usage(miette!("the build context {} is not a directory", self.context.display())));
        }
        let build_args = self.build_args()?;
        let mut request = Request {
            dockerfile,
            build_args,
            target: self.target.clone(),
            named_contexts: pairs("--build-context", &self.build_context)?,
            labels: self.label.iter().map(|label| label_of(label)).collect::<Result<_, _>>()?,
            platforms: self.platform.clone(),
            no_cache: self.no_cache,
            no_cache_stages: self.no_cache_filter.clone(),
            named_files: self.recording.named_files(),
            policy: granularity(&self.policy)?,
            jobs: self.jobs,
            admission: named::<Admission>("--admission", &self.admission)?,
            remote: self.remote.request()?,
            run: self.run_options()?,
            tags: self.tag.clone(),
            pull: self.pull,
            cache_from: self.cache_from.clone(),
            cache_to: self.cache_to.clone(),
            outputs: self.outputs(),
            annotations: self.annotation.clone(),
            provenance: self.provenance()?,
            registries: self.registries()?,
            context: self.context.clone(),
            context_file,
        };
        if request.is_set("BUILDKIT_INLINE_CACHE") {
            request.cache_to.push("type=inline".to_owned());
        }
        request.check().map_err(Failure::usage)?;
        if request.writes_to_stdout() && std::io::stdout().is_terminal() {
            return Err(Failure::usage(miette!("an archive is not written to a terminal: give a file with dest=")));
        }
        Ok(request)
    }

    /// The build arguments. As with buildx, `SOURCE_DATE_EPOCH` of the environment is one unless it is given.
    fn build_args(&self) -> Result<BTreeMap<String, String>, Failure> {
        let arguments = self.build_arg.iter().filter_map(|arg| build_arg(arg).transpose());
        let mut arguments: BTreeMap<_, _> = arguments.collect::<Result<_, _>>()?;
        let epoch = std::env::var(SOURCE_DATE_EPOCH).ok().filter(|value| !value.is_empty());
        if let Some(epoch) = epoch.filter(|_| !arguments.contains_key(SOURCE_DATE_EPOCH)) {
            arguments.insert(SOURCE_DATE_EPOCH.to_owned(), epoch);
        }
        Ok(arguments)
    }

    /// Fails if a file that the build writes at its end cannot be written.
    fn check_destinations(&self) -> Result<(), Failure> {
        let mut given = self.results().into_iter().filter_map(|(flag, path)| Some((flag, path?)));
        given.try_for_each(|(flag, path)| destination::check_result(flag, path))
    }

    /// The files that the build writes at its end, besides those of its recording.
    fn results(&self) -> [(&'static str, Option<&Path>); 2] {
        [("--iidfile", self.iidfile.as_deref()), ("--metadata-file", self.metadata_file.as_deref())]
    }

    /// The subject of the build, for the list of builds.
    fn subject(&self) -> Subject {
        let absolute =
            |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
        let context = match self.context.to_string_lossy() {
            context if context == "-" => "standard input".to_owned(),
            context if self.is_elsewhere() => redacted(&context).into_owned(),
            _ => absolute(&self.context),
        };
        let dockerfile = match &self.file {
            Some(file) if file == Path::new("-") => "standard input".to_owned(),
            Some(file) if !self.is_elsewhere() => absolute(file),
            file if self.is_elsewhere() => {
                let file = file.as_deref().unwrap_or(Path::new("Dockerfile"));
                format!("{context}:{}", file.display())
            }
            _ => absolute(&self.context.join("Dockerfile")),
        };
        Subject { context: Some(context), dockerfile: Some(dockerfile), target: self.target.clone() }
    }

    /// All outputs; `--push` and `--load` are short forms of outputs.
    fn outputs(&self) -> Vec<String> {
        let short = [(self.push, "type=registry"), (self.load, "type=docker")];
        let short = short.into_iter().filter(|(wanted, _)| *wanted).map(|(_, output)| output.to_owned());
        self.output.iter().cloned().chain(short).collect()
    }

    fn registries(&self) -> Result<RegistryOptions, Failure> {
        let mut mirrors = BTreeMap::<String, Vec<String>>::new();
        for (registry, host) in pairs::<Vec<_>>("--registry-mirror", &self.registry_mirror)? {
            mirrors.entry(registry).or_default().push(host);
        }
        Ok(RegistryOptions {
            plain_http: self.unverified.plain_http.iter().cloned().collect(),
            insecure: self.unverified.insecure_registry.iter().cloned().collect(),
            mirrors,
            authorities: self.registry_ca.clone(),
        })
    }

    fn dockerfile(&self) -> Result<DockerfileInput, Failure> {
        match &self.file {
            Some(file) if file == Path::new("-") && self.context == Path::new("-") => {
                Err(Failure::usage(miette!("standard input cannot be the Dockerfile and the context")))
            }
            file if self.is_elsewhere() && file.as_deref() != Some(Path::new("-")) => {
                Ok(DockerfileInput::Within(file.clone().unwrap_or_else(|| "Dockerfile".into())))
            }
            None => Ok(DockerfileInput::Within("Dockerfile".into())),
            Some(file) if file == Path::new("-") => {
                let Source { name, text, .. } = Source::standard_input()?;
                Ok(DockerfileInput::Text { name, text })
            }
            // A pipe of the shell can be read once, but the Dockerfile is needed twice: for its rules and for the build.
            Some(file) if std::fs::metadata(file).is_ok_and(|found| !found.is_file() && !found.is_dir()) => {
                let Source { name, text, .. } = Source::file(file)?;
                Ok(DockerfileInput::Text { name, text })
            }
            Some(file) => Ok(DockerfileInput::File(file.clone())),
        }
    }

    /// Whether the context must be fetched: it is standard input or a URL.
    fn is_elsewhere(&self) -> bool {
        let context = self.context.to_string_lossy();
        context == "-" || is_url(&context) || is_git(&context)
    }
}

/// Copies standard input to an unnamed file, because an archive is read twice.
fn standard_input() -> Result<Arc<File>, Failure> {
    let mut file = tempfile::tempfile().into_diagnostic().map_err(Failure::Internal)?;
    let copied = std::io::copy(&mut std::io::stdin().lock(), &mut file);
    copied.into_diagnostic().wrap_err("cannot read the context from standard input").map_err(Failure::Usage)?;
    Ok(Arc::new(file))
}

/// Parses the value of a flag that takes one of several names.
fn named<T: FromStr<Err = UnknownName>>(flag: &str, name: &str) -> Result<T, Failure> {
    name.parse().map_err(|error| Failure::usage(miette!("{flag}: {error}")))
}

/// Parses `NAME=VALUE`. As with docker, a name alone is a label without a value.
fn label_of(text: &str) -> Result<(String, String), Failure> {
    match text.split_once('=').unwrap_or((text, "")) {
        ("", _) => Err(Failure::usage(miette!("--label takes NAME=VALUE, not `{text}`"))),
        (name, value) => Ok((name.to_owned(), value.to_owned())),
    }
}

/// Parses `PHASE=SECONDS` or `INSTRUCTION=SECONDS`.
fn delay(text: &str) -> Result<(Delayed, Duration), Failure> {
    let parsed = text.split_once('=').and_then(|(what, seconds)| {
        let seconds = seconds.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())?;
        let instruction = || Keyword::parse(what).map(|keyword| Delayed::Instruction(keyword.name().into()));
        Some((Phase::from_name(what).map(Delayed::Phase).or_else(instruction)?, seconds))
    });
    let wrong = || miette!("--delay takes PHASE=SECONDS or INSTRUCTION=SECONDS (`copy=0.5`, `COPY=0.5`), not `{text}`");
    parsed.ok_or_else(|| Failure::usage(wrong()))
}

fn sync_policy(name: &str) -> Result<SyncPolicy, Failure> {
    match name {
        "build" => Ok(SyncPolicy::Build),
        "layer" => Ok(SyncPolicy::Layer),
        "never" => Ok(SyncPolicy::Never),
        _ => Err(Failure::usage(miette!("--sync takes build, layer or never, not `{name}`"))),
    }
}

/// Parses `NAME=value`. A bare `NAME` takes its value from the environment and is ignored if it is not set there, as
/// in docker.
fn build_arg(arg: &str) -> Result<Option<(String, String)>, Failure> {
    match arg.split_once('=') {
        None if !arg.is_empty() => Ok(std::env::var(arg).ok().map(|value| (arg.to_owned(), value))),
        Some((name, value)) if !name.is_empty() => Ok(Some((name.to_owned(), value.to_owned()))),
        _ => Err(Failure::usage(miette!("--build-arg takes NAME=VALUE or NAME, not `{arg}`"))),
    }
}

fn pairs<T: FromIterator<(String, String)>>(flag: &str, values: &[String]) -> Result<T, Failure> {
    let pair = |value: &String| {
        let (name, value) =
            value.split_once('=').ok_or_else(|| Failure::usage(miette!("{flag} takes NAME=VALUE, not `{value}`")))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    values.iter().map(pair).collect()
}
