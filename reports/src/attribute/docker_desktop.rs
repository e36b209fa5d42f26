//! The classes by which Docker Desktop's *Builds* view divides the time of a build, and how ours map to them.
//!
//! Source: "Build timing" in Docker's documentation of the Builds view. Docker Desktop gives each vertex of BuildKit one class, so a
//! class is first that of the step, and for the builder's own work that of the phase.

use buildscope_record::{Instruction, Phase, Step, UnknownName};
use std::fmt;
use std::str::FromStr;

/// A class of time in Docker Desktop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DesktopClass {
    /// Transfers of the Dockerfile, the ignore file and the context to the builder.
    LocalFileTransfers,
    /// COPY, ADD of local files, WORKDIR, and changes of images by other instructions without a process.
    FileOperations,
    /// Base images.
    ImagePulls,
    /// RUN.
    Executions,
    /// ADD of a URL.
    Http,
    /// ADD of a git repository, and contexts from git.
    Git,
    /// Compressing, exporting and pushing the result.
    ResultExports,
    /// Scanning for a software bill of materials.
    Sbom,
    /// Waiting for a slot or a lock.
    Idle,
}

impl DesktopClass {
    /// All classes, in the order of Docker's documentation.
    pub const ALL: [Self; 9] = [
        Self::LocalFileTransfers,
        Self::FileOperations,
        Self::ImagePulls,
        Self::Executions,
        Self::Http,
        Self::Git,
        Self::ResultExports,
        Self::Sbom,
        Self::Idle,
    ];

    /// The name in Docker Desktop.
    pub fn name(self) -> &'static str {
        match self {
            Self::LocalFileTransfers => "Local file transfers",
            Self::FileOperations => "File operations",
            Self::ImagePulls => "Image pulls",
            Self::Executions => "Executions",
            Self::Http => "HTTP",
            Self::Git => "Git",
            Self::ResultExports => "Result exports",
            Self::Sbom => "SBOM",
            Self::Idle => "Idle",
        }
    }

    /// The class of the time that a step spends in a phase, or of the builder's own work (no step). `None` if Docker Desktop has no
    /// class for it: parsing, planning and looking up the cache.
    pub fn of(step: Option<&Step>, phase: Option<Phase>) -> Option<Self> {
        if let Some(Phase::Queue | Phase::Lock) = phase {
            return Some(Self::Idle);
        }
        match step {
            Some(step) if step.stage.is_some() => of_instruction(step),
            Some(step) => of_builder_step(&step.text).or_else(|| phase.and_then(of_own_work)),
            None => phase.and_then(of_own_work),
        }
    }
}

/// The class of a step of the Dockerfile.
fn of_instruction(step: &Step) -> Option<DesktopClass> {
    match step.instruction {
        Instruction::Run => Some(DesktopClass::Executions),
        Instruction::From => Some(DesktopClass::ImagePulls),
        Instruction::Add => Some(of_source(&step.text).unwrap_or(DesktopClass::FileOperations)),
        _ => Some(DesktopClass::FileOperations),
    }
}

/// The class of an ADD from elsewhere. BuildKit treats an address that ends in `.git`, with or without a fragment, as a repository.
fn of_source(text: &str) -> Option<DesktopClass> {
    let source = text.split_whitespace().skip(1).find(|word| !word.starts_with("--"))?;
    let repository = source.split(['#', '?']).next().is_some_and(|address| address.ends_with(".git"));
    if source.starts_with("git@") || source.starts_with("git://") || source.starts_with("ssh://") || repository {
        return Some(DesktopClass::Git);
    }
    (source.starts_with("https://") || source.starts_with("http://")).then_some(DesktopClass::Http)
}

/// The class of a step that another builder shows for its own work.
fn of_builder_step(text: &str) -> Option<DesktopClass> {
    let text = text.strip_prefix("[internal] ").unwrap_or(text);
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
    if starts(&["load build definition", "load build context", "load .dockerignore", "load remote build context"]) {
        Some(DesktopClass::LocalFileTransfers)
    } else if starts(&["load metadata", "resolve image config"]) {
        Some(DesktopClass::ImagePulls)
    } else if starts(&["exporting", "pushing", "writing", "naming", "preparing layers", "sending tarball"]) {
        Some(DesktopClass::ResultExports)
    } else if starts(&["generating sbom", "sbom"]) {
        Some(DesktopClass::Sbom)
    } else {
        None
    }
}

fn of_own_work(phase: Phase) -> Option<DesktopClass> {
    match phase {
        Phase::Read | Phase::ContextScan | Phase::ContextHash => Some(DesktopClass::LocalFileTransfers),
        Phase::Resolve | Phase::Pull | Phase::Unpack => Some(DesktopClass::ImagePulls),
        Phase::Fetch => Some(DesktopClass::Http),
        Phase::Compress | Phase::Export | Phase::Push | Phase::Digest | Phase::Sync => {
            Some(DesktopClass::ResultExports)
        }
        Phase::Queue | Phase::Lock => Some(DesktopClass::Idle),
        _ => None,
    }
}

impl fmt::Display for DesktopClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DesktopClass {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.into_iter().find(|class| class.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| UnknownName {
            set: "class of Docker Desktop",
            name: name.to_owned(),
            expected: Self::ALL.map(Self::name).to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::{StageId, StepId};

    fn class(text: &str, phase: Phase) -> Option<DesktopClass> {
        let instruction = text.split(' ').next().unwrap();
        let step = Step { stage: Some(StageId(0)), ..Step::of(StepId(0), instruction, text) };
        DesktopClass::of(Some(&step), Some(phase))
    }

    #[test]
    fn a_step_has_the_class_of_its_vertex() {
        use DesktopClass::*;
        for (text, expected) in [
            ("RUN make", Executions),
            ("FROM debian:13", ImagePulls),
            ("COPY . .", FileOperations),
            ("WORKDIR /src", FileOperations),
            ("ADD a.tar /", FileOperations),
            ("ADD --checksum=sha256:0 https://example.com/a.tar /", Http),
            ("ADD https://example.com/a.git#v1 /", Git),
            ("ADD git@example.com:a/b /", Git),
        ] {
            assert_eq!(class(text, Phase::Copy), Some(expected), "{text}");
            assert_eq!(class(text, Phase::Queue), Some(Idle), "{text}");
        }
    }

    #[test]
    fn the_builders_own_work_has_a_class_too() {
        let own = |text: &str| DesktopClass::of(Some(&Step::of(StepId(0), "", text)), None);
        assert_eq!(own("[internal] load build context"), Some(DesktopClass::LocalFileTransfers));
        assert_eq!(own("[internal] load metadata for docker.io/library/debian:13"), Some(DesktopClass::ImagePulls));
        assert_eq!(own("exporting to image"), Some(DesktopClass::ResultExports));
        assert_eq!(DesktopClass::of(None, Some(Phase::Push)), Some(DesktopClass::ResultExports));
        assert_eq!(DesktopClass::of(None, Some(Phase::Parse)), None);
        assert_eq!(DesktopClass::of(None, None), None);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for class in DesktopClass::ALL {
            assert_eq!(class.to_string().to_lowercase().parse::<DesktopClass>().unwrap(), class);
        }
        assert!("storage".parse::<DesktopClass>().is_err());
    }
}
