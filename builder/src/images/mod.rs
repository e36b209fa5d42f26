//! Images: assembles, exports and imports them.
//!
//! *Takes* a configuration and layers. *Gives* OCI documents, archives and pushed images, and reads images from
//! archives, registries and the docker daemon into the store. *Must never know* the Dockerfile or the schedule.

mod archive;
mod assemble;
mod base;
mod cache;
mod deliver;
mod docker;
mod error;
mod export;
pub(crate) mod fuzzing;
mod layout;
mod local;
mod output;
mod parallel;
mod registry;
mod resolve;
mod resolved;
mod unpack;

pub use assemble::{Image, Made, assemble};
pub use base::{DebianBase, busybox_base};
pub use cache::{CacheExport, CacheFrom, CacheMode, CacheRecord, CacheSpecError, CacheTo, ImportedCache, inline_cache};
pub use deliver::Delivery;
pub use error::ImageError;
pub use export::{Export, Exported, Format, export_directory, export_tar};
pub use export::{Predicate, package};
pub use layout::LayoutImage;
pub use local::{Images, Named};
pub use output::{Destination, ImageOptions, Output, OutputError, OutputKind, csv_fields};
pub use registry::{Credentials, Moved, Registries, RegistryOptions, Watch};
pub use resolve::{NamedImage, Resolver};
pub use resolved::{Blobs, ImageLayer, ResolvedImage};
pub use unpack::ensure_layers;
