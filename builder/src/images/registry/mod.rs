//! Registries: images over HTTP (the OCI distribution specification 1.1).
//!
//! *Takes* references and what is known of hosts and credentials. *Gives* images whose documents are
//! verified and whose layers stream; takes images in. Blocking: a transfer has a thread of its own.
//! *Must never know* how a layer is stored.

mod auth;
mod challenge;
mod client;
pub(super) mod fuzzing;
mod pull;
mod push;
mod watch;

pub use auth::Credentials;
pub use client::{Registries, RegistryOptions};
pub(crate) use push::{Cargo, Source};
pub use watch::{Moved, Watch};
