//! File times.

/// Seconds and nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp {
    /// Whole seconds; negative before 1970.
    pub seconds: i64,
    /// Nanoseconds after `seconds`, 0 to 999,999,999.
    pub nanos: u32,
}

impl Timestamp {
    /// The modification time of a file.
    pub fn of(metadata: &impl std::os::unix::fs::MetadataExt) -> Self {
        // The kernel returns 0 to 999,999,999.
        Self { seconds: metadata.mtime(), nanos: metadata.mtime_nsec() as u32 }
    }
}
