//! Registries: pulls and pushes images over HTTP (OCI distribution specification 1.1).
//!
//! *Takes* references, credentials and options of hosts; blobs and manifests to push. *Gives* images whose documents are
//! verified and whose layers are streamed. All operations block: each transfer needs its own thread. *Must never know*
//! how a layer is stored.

mod auth;
mod blob_upload;
mod challenge;
mod client;
pub(super) mod fuzzing;
mod open_uploads;
mod progress;
mod pull;
mod push;

pub use auth::Credentials;
pub(crate) use blob_upload::{BlobContent, BlobUpload};
pub use client::{Registries, RegistryOptions};
pub(crate) use open_uploads::OpenUploads;
pub use progress::{Direction, ProgressSink, Transfer};
