//! Effects to layers: the layer is the blob (DESIGN, "Storage").
//!
//! *Takes* entries (files, directories, links with their metadata and where their data lies).
//! *Gives* layers: content-addressed, uncompressed tar blobs with an index; merged trees of layers
//! to read from; mounts to run processes over. Alone knows which driver is in use. *Must never
//! know* instructions, images or schedules.

mod entry;

pub use entry::*;
