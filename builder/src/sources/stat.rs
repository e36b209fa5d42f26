//! The `stat` of a file, and whether it identifies the content.

pub use buildscope_storage::Identity;
use buildscope_storage::Timestamp;
use rustix::fs::{FileType, Stat};
use std::time::{Duration, SystemTime};

/// A file may change again within this time without a change of its times: the kernel's clock for file times ticks
/// every 1 to 10 ms.
const TICK: Duration = Duration::from_millis(20);
/// The same for file systems with times in whole seconds (FAT: in steps of two seconds).
const COARSE_TICK: Duration = Duration::from_millis(2_100);
/// The fields of `stat` that are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FileStatus {
    pub(super) dev: u64,
    pub(super) ino: u64,
    /// The size of a file; the number of a device.
    pub(super) size: u64,
    pub(super) mtime_seconds: i64,
    pub(super) ctime_seconds: i64,
    pub(super) mtime_nanos: u32,
    pub(super) ctime_nanos: u32,
    pub(super) links: u32,
    pub(super) mode: u32,
}

impl FileStatus {
    /// The time of the last modification.
    pub(super) fn mtime(&self) -> Timestamp {
        Timestamp { seconds: self.mtime_seconds, nanos: self.mtime_nanos }
    }

    /// The time of the last inode change.
    pub(super) fn ctime(&self) -> Timestamp {
        Timestamp { seconds: self.ctime_seconds, nanos: self.ctime_nanos }
    }
}

impl From<&Stat> for FileStatus {
    #[expect(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        reason = "the width of these fields depends on the architecture"
    )]
    fn from(stat: &Stat) -> Self {
        let device = matches!(FileType::from_raw_mode(stat.st_mode), FileType::CharacterDevice | FileType::BlockDevice);
        Self {
            dev: stat.st_dev.into(),
            ino: stat.st_ino.into(),
            size: if device { stat.st_rdev.into() } else { stat.st_size as u64 },
            mtime_seconds: stat.st_mtime.into(),
            ctime_seconds: stat.st_ctime.into(),
            mtime_nanos: stat.st_mtime_nsec as u32,
            ctime_nanos: stat.st_ctime_nsec as u32,
            // Only whether there are several counts.
            links: u32::try_from(stat.st_nlink as u64).unwrap_or(u32::MAX),
            mode: stat.st_mode & 0o7777,
        }
    }
}

impl From<&FileStatus> for Identity {
    fn from(stat: &FileStatus) -> Self {
        Self { dev: stat.dev, ino: stat.ino, size: stat.size, mtime: stat.mtime(), ctime: stat.ctime() }
    }
}

/// Whether a file that was read at `read_at` may have changed afterwards without a change of its times: the racily
/// clean case of git's index ("Racy Git" in its technical documentation).
///
/// Only the change time matters: every write updates it, even one that resets the modification time.
pub(super) fn is_racy(ctime: Timestamp, read_at: SystemTime) -> bool {
    let tick = if ctime.nanos == 0 { COARSE_TICK } else { TICK };
    let Ok(seconds) = u64::try_from(ctime.seconds) else { return false };
    SystemTime::UNIX_EPOCH + Duration::new(seconds, ctime.nanos) + tick >= read_at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_changed_within_a_tick_of_its_reading_is_racy() {
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let changed = Timestamp { seconds: 100, nanos: 500_000_001 };
        assert!(is_racy(changed, at(100_500)));
        assert!(is_racy(changed, at(100_519)));
        assert!(!is_racy(changed, at(100_521)));
        // A file with a time in the future can always change again.
        assert!(is_racy(changed, at(50_000)));
        let coarse = Timestamp { seconds: 100, nanos: 0 };
        assert!(is_racy(coarse, at(102_000)));
        assert!(!is_racy(coarse, at(102_101)));
    }
}
