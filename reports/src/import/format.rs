//! The formats that can be imported.

use std::fmt;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A build record of buildscope.
    Record,
    /// BuildKit's `--progress=rawjson`: one `SolveStatus` per line.
    RawJson,
    /// `docker buildx history export`: a gzip'd OCI layout.
    DockerBuild,
    /// `docker buildx history inspect --format json`.
    Inspect,
    /// BuildKit's `--progress=plain`, with or without a time before each line.
    Plain,
    /// The classic builder's output, with or without a time before each line.
    Classic,
    /// buildah's output, with or without a time before each line.
    Buildah,
    /// BuildKit's display on a terminal: `[+] Building 7.9s (8/8) FINISHED`.
    Terminal,
    /// kaniko's log.
    KanikoLog,
    /// kaniko's `BENCHMARK_FILE`.
    Kaniko,
    /// OpenTelemetry spans: OTLP as JSON.
    Otlp,
    /// OpenTelemetry spans as Go's `stdouttrace` writes them, the form inside a `.dockerbuild`.
    StdoutTrace,
}

impl Format {
    /// Whether files of the format are logs, which other programs' lines may interrupt.
    pub(crate) fn is_log(self) -> bool {
        matches!(self, Self::RawJson | Self::Plain | Self::Classic | Self::Buildah | Self::Terminal | Self::KanikoLog)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Record => "a build record",
            Self::RawJson => "BuildKit's rawjson progress",
            Self::DockerBuild => "a .dockerbuild export",
            Self::Inspect => "buildx history inspect",
            Self::Plain => "BuildKit's plain progress",
            Self::Classic => "the classic builder's log",
            Self::Buildah => "buildah's log",
            Self::Terminal => "BuildKit's display",
            Self::KanikoLog => "kaniko's log",
            Self::Kaniko => "kaniko's benchmark file",
            Self::Otlp => "OTLP spans as JSON",
            Self::StdoutTrace => "stdouttrace spans",
        })
    }
}
