//! Logs and exports of other builders.

use buildscope_record::Record;
use buildscope_reports::import::{Format, fuzzing};
use buildscope_reports::{explain, render};

/// Only records with at most this many steps are also explained.
const STEPS: usize = 200;

/// Checks that an imported record is valid, survives writing and reading, and can be explained.
fn import(format: Format, bytes: &[u8]) {
    if let Ok(record) = fuzzing::import_as(format, bytes) {
        holds(&record);
    }
}

/// A file of any format, which may be compressed or an archive.
pub(crate) fn packed(bytes: &[u8]) {
    if let Ok(record) = buildscope_reports::import::import(bytes) {
        holds(&record);
    }
}

fn holds(record: &Record) {
    let written = written(record);
    assert_eq!(self::written(&Record::from_json(&written).unwrap()), written);
    if record.steps.len() <= STEPS {
        let _ = explain(record);
    }
}

/// A record, and what is shown of it.
pub(crate) fn record(bytes: &[u8]) {
    let Ok(record) = Record::from_json(bytes) else { return };
    holds(&record);
    if record.steps.len() <= STEPS {
        let explanation = explain(&record);
        let _ = render::text(&explanation, render::Style::default());
        let _ = render::html(&record, &explanation);
    }
}

fn written(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.write(&mut bytes).unwrap();
    bytes
}

macro_rules! formats {
    ($($name:ident: $format:ident),+ $(,)?) => {$(
        pub(crate) fn $name(bytes: &[u8]) {
            import(Format::$format, bytes);
        }
    )+};
}

formats! {
    rawjson: RawJson,
    plain: Plain,
    classic: Classic,
    buildah: Buildah,
    kaniko: Kaniko,
    kaniko_log: KanikoLog,
    console: Terminal,
    inspect: Inspect,
    otlp: Otlp,
    stdouttrace: StdoutTrace,
    dockerbuild: DockerBuild,
}
