//! Layers as blobs: storage, indexes, merged trees and mounts (docs/design/storage.md).
//!
//! *Takes* entries (files, directories, links with their metadata and the location of their data). *Gives* layers:
//! content-addressed, uncompressed tar blobs with an index; merged trees of layers to read from; mounts to run processes on. It
//! alone knows which driver is in use. *Must never know* instructions, images or schedules.
//!
//! # Start here
//!
//! Reading and writing layers needs no privileges and no mount:
//!
//! ```
//! use buildscope_record::Probe;
//! use buildscope_storage::{Content, DriverChoice, DriverName, Entry, Store, StoreOptions};
//! use std::sync::Arc;
//!
//! let folder = tempfile::tempdir()?;
//! let options = StoreOptions { driver: DriverChoice::Named(DriverName::Copy), ..StoreOptions::default() };
//! let store = Store::open(folder.path(), options)?;
//!
//! let mut layer = store.layer_builder();
//! layer.push(Entry::directory("etc"), Content::Bytes(Arc::default()));
//! let layer = layer.finish(&Probe::disabled())?;
//!
//! let tree = store.tree(&[layer.diff_id])?;
//! assert!(tree.lookup("etc".as_ref()).is_some());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Store::snapshot`] makes a writable file system of layers for a step. Committing it gives the step's layer.
//!
//! # The store
//!
//! A store is a directory that several processes may use at the same time:
//!
//! ```text
//! blobs/sha256/<digest>   layers as uncompressed tars, and all other blobs of images
//! index/<digest>          the offset of each path of a layer in its tar
//! erofs/<digest>          file systems over layers, metadata only, for the driver `erofs`
//! lowers/<digest>         unpacked layers, for the drivers that need files
//! mounts/<name>           cache mounts
//! cache.db                cache keys and their layers; cache.db.damaged-* are unreadable databases that were set aside
//! claims/<key>            locks of running steps
//! boot, lock, cache.lock  id of the boot that wrote last; locks for garbage collection and for creating or replacing cache.db
//! tmp/<process>           temporary files of one process, removed after it has ended
//! ```

#![forbid(unsafe_code)]

mod attributes;
mod blob;
mod cache;
mod cache_mount;
mod change;
mod damage;
mod derived;
mod driver;
mod durable;
mod entry;
mod entry_list;
mod equal;
mod erofs;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod gc;
mod import;
mod index;
mod index_builder;
mod layer;
mod layer_store;
mod layout;
mod limits;
mod lower;
mod memory;
mod merge;
mod node;
mod once_map;
mod options;
mod owner;
mod path;
mod pieces;
mod pinned;
pub mod pipeline;
mod recovery;
mod removal;
mod replay;
mod reserve;
mod row;
mod scratch;
mod snapshot;
mod sparse;
mod spool;
mod step_lock;
mod store;
pub mod tar;
mod timestamp;
mod tree;
mod unpack;
mod unpacked;
mod upper;

pub use attributes::CAPABILITY;
pub use blob::{BlobStore, BlobWriter};
pub use cache::{CacheEntry, CacheHit, CacheIndex, Removed};
pub use cache_mount::{CacheMount, CacheMountOptions, CacheSharing, LayerPath};
pub use damage::{Checked, DamagedBlob, Inspection};
pub use entry::*;
pub use entry_list::{EntryList, ListedEntry, Xattrs};
pub use error::StorageError;
pub use gc::{PruneOptions, Usage, UsageKind};
pub use layer::{ContentOffsets, LayerBuilder};
pub use layer_store::LayerStore;
pub use limits::{Allowance, MAX_IMPLIED, MAX_LAYERS, MAX_NAMES, Unpacked, unpacked_limit};
pub use memory::{available_memory, spare_memory};
pub use once_map::{Acquired, OnceMap, Turn};
pub use options::{StoreOptions, SyncPolicy};

pub use buildscope_record::{DriverChoice, DriverName};
pub use owner::{MAX_OWNER_ID, owner_id};
pub use path::MAX_LINKS;
pub use pinned::{HostRoot, Identity, PinnedFile, open_below, open_resolved};
pub use scratch::abandon_scratch;
pub use snapshot::{Snapshot, View};
pub use sparse::{SparseReader, is_zero};
pub use spool::Spool;
pub use step_lock::StepLock;
pub use store::Store;
pub use timestamp::Timestamp;
pub use tree::{Resolved, Tree};
pub use unpacked::DamagedUnpacked;

#[cfg(test)]
mod tests;
