//! Images: assembles, exports and imports them.
//!
//! *Takes* a configuration and layers. *Gives* OCI documents, archives and pushed images, and reads images from
//! archives, registries and the docker daemon into the store. *Must never know* the Dockerfile or the schedule.
//!
//! A layer has four carriers on its way from a step to a manifest, each for one state. A
//! [`Layer`](buildscope_storage::Layer) is a layer in the store. A `LayerResult` (in `engine`) is the layer as the result of a step,
//! which the cache remembers. An `EncodedLayer` (in `export`) is the layer as an export writes it, with the digest and the size of
//! the blob. An [`ImageLayer`] is its entry in the documents of an image, also of one that was read from elsewhere. In between, a
//! diff id names the layer.

mod assemble;
mod base;
mod cache;
mod daemon;
mod document;
mod early;
mod error;
mod export;
pub(crate) mod fuzzing;
mod layout;
mod load;
mod outputs;
mod pace;
mod parallel;
mod registry;
mod resolve;
mod resolved;
mod stored;
mod unpack_layers;

pub use assemble::{BuiltStep, Image, assemble};
pub use base::{DebianBase, busybox_base};
pub use buildscope_oci::csv_fields;
pub(crate) use cache::CasBlobs;
pub use cache::{
    CacheExport, CacheFrom, CacheMode, CacheOptions, CacheRecord, CacheSpecError, CacheTo, ImportedCache, Leftovers,
    ReapiCache, S3Cache, inline_cache,
};
pub use early::{Draft, EarlyDelivery};
pub use error::ImageError;
pub use export::{Destination, ImageOptions, Output, OutputError, OutputKind, Predicate, PreparedBlobs, package};
pub use export::{Export, Exported, ImageFormat, export_directory, export_tar};
pub use layout::LayoutImage;
pub use outputs::Delivery;
pub use pace::Pace;
pub(crate) use parallel::in_parallel;
pub use registry::{Credentials, Direction, ProgressSink, Registries, RegistryOptions, Transfer};
pub use resolve::{NamedImage, Resolver};
pub use resolved::{Blobs, ImageLayer, OriginalBlob, ResolvedImage};
pub use stored::{Images, Named};
pub(crate) use unpack_layers::ensure as ensure_all;
pub use unpack_layers::ensure_layers;
