//! Effects to layers: the layer is the blob (docs/design/storage.md).
//!
//! *Takes* entries (files, directories, links with their metadata and where their data lies).
//! *Gives* layers: content-addressed, uncompressed tar blobs with an index; merged trees of layers
//! to read from; mounts to run processes over. Alone knows which driver is in use. *Must never
//! know* instructions, images or schedules.
//!
//! A store is a directory:
//!
//! ```text
//! blobs/sha256/<digest>   layers as uncompressed tars, and whatever else an image is made of
//! index/<digest>          what is where in a layer
//! erofs/<digest>          file systems over layers, without data, for the driver `erofs`
//! lowers/<digest>         layers unpacked, for the drivers that need files
//! mounts/<name>           cache mounts
//! cache.db                which key made which layers
//! claims/<key>            which steps are being made
//! boot, lock              since when; who removes
//! tmp/<process>           what belongs to one process, and is removed once it is dead
//! ```

#![forbid(unsafe_code)]

mod attributes;
mod blob;
mod cache;
mod cache_mount;
mod change;
mod claim;
mod driver;
mod entry;
mod erofs;
mod error;
mod gc;
mod import;
mod index;
mod layer;
mod lower;
mod memory;
mod pieces;
mod pinned;
pub mod pipeline;
mod queue;
mod recovery;
mod scratch;
mod snapshot;
mod sparse;
mod store;
pub mod tar;
mod tree;
mod unpack;
mod upper;

pub use blob::{BlobStore, BlobWriter};
pub use cache::{CacheEntry, CacheHit, CacheIndex, Removed};
pub use cache_mount::{CacheMount, CacheMountOptions, CacheSharing};
pub use claim::Claim;
pub use entry::*;
pub use error::StorageError;
pub use gc::{PruneOptions, Usage, UsageKind};
pub use layer::LayerBuilder;
pub use memory::spare_memory;
pub use pinned::{HostRoot, Identity, PinnedFile, open_below};
pub use snapshot::{Snapshot, View};
pub use sparse::{SparseReader, is_zero};
pub use store::{DriverChoice, Store, StoreOptions, SyncPolicy};
pub use tree::{Resolved, Tree};

#[cfg(test)]
mod tests;
