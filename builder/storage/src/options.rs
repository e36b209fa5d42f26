//! Options of a store.

use buildscope_record::DriverChoice;

/// Options of a store. They never change a digest.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// The driver that makes file systems of layers for steps.
    pub driver: DriverChoice,
    /// The point at which a build waits until its files are on the disk.
    pub sync: SyncPolicy,
    /// Memory budget for the changes of all steps, in bytes. Only the drivers `erofs` and `overlay` use it. `None` keeps changes on
    /// the disk.
    pub memory: Option<u64>,
}

/// The point at which a build waits until its files are on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SyncPolicy {
    /// Once, at the end of the build.
    #[default]
    Build,
    /// Also after every layer, as engines do that sync every file. For measuring the cost of that.
    Layer,
    /// Never. A power loss may lose what was built; the next start then removes it. For measuring the cost of syncing.
    Never,
}
