//! Options of a store.

use buildscope_record::DriverName;

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

/// The storage driver to use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DriverChoice {
    /// The fastest driver that works on this host.
    #[default]
    Auto,
    /// Unpacked layers under overlayfs.
    Overlay,
    /// Layer tars mounted without unpacking, through an EROFS image of their metadata, under overlayfs.
    Erofs,
    /// Unpacked layers under fuse-overlayfs.
    FuseOverlayfs,
    /// Subvolume snapshots.
    Btrfs,
    /// A full copy of the tree for each step.
    Copy,
}

impl From<buildscope_record::DriverChoice> for DriverChoice {
    fn from(choice: buildscope_record::DriverChoice) -> Self {
        match choice {
            buildscope_record::DriverChoice::Auto => Self::Auto,
            buildscope_record::DriverChoice::Named(driver) => match driver {
                DriverName::Overlay => Self::Overlay,
                DriverName::Erofs => Self::Erofs,
                DriverName::FuseOverlayfs => Self::FuseOverlayfs,
                DriverName::Btrfs => Self::Btrfs,
                DriverName::Copy => Self::Copy,
            },
        }
    }
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
