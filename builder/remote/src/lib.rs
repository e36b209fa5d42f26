//! A client of the Remote Execution API (REAPI v2): content-addressed blobs, the action cache, execution.
//!
//! *Takes* the address of a server, credentials, blobs and actions. *Gives* blobs whose digests were verified, and the results of
//! actions. *Must never know* what a layer, an image or a step is.
//!
//! All calls are retried if the server is busy or the connection breaks, and each has a deadline. The client has its own runtime
//! with one thread, so its blocking functions can be called from any thread.
//!
//! # Start here
//!
//! ```no_run
//! use buildscope_remote::{Client, RemoteOptions, Upload};
//!
//! let client = Client::new(RemoteOptions::of("grpc://localhost:8980".parse()?))?;
//! let upload = Upload::bytes(*b"hello");
//! let blob = upload.blob;
//! let server = client.clone();
//! let bytes = client.wait(async move {
//!     server.upload(vec![upload]).await?; // only if the server lacks it
//!     server.read(&[blob]).await
//! })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod action;
mod actions;
mod address;
mod blob;
mod cas;
mod client;
mod concurrent;
mod credentials;
mod download;
mod error;
mod execute;
#[cfg(test)]
mod hostile;
mod operations;
mod options;
mod queue;
mod retry;
mod runner;
mod tls;
mod upload;

pub use action::{Action, Input, PreparedAction};
pub use actions::CacheEntry;
pub use address::{Address, AddressError};
pub use blob::{Blob, Content, Upload};
pub use client::Client;
pub use error::RemoteError;
pub use execute::{CacheUse, Finished, OutputFile, WorkerTimes};
pub use options::RemoteOptions;
pub use queue::LONG_QUEUE;
pub use runner::ActionOutcome;
pub use tls::TlsError;

pub use bazel_remote_apis::build::bazel::remote::execution::v2 as messages;
