//! The vocabulary of OCI images.
//!
//! *Takes* text and JSON documents. *Gives* typed platforms, references, image configurations, manifests, indexes and
//! annotations, and writes them as BuildKit does. *Must never know* the file system, the network, the store, the
//! Dockerfile or the schedule.
//!
//! # Start here
//!
//! ```
//! use buildscope_oci::{Platform, Reference};
//!
//! let reference: Reference = "alpine:3.22".parse()?;
//! assert_eq!(reference.to_string(), "docker.io/library/alpine:3.22");
//! let platform: Platform = "linux/arm64".parse()?;
//! assert_eq!(platform.architecture, "arm64");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod annotation;
mod boolean;
mod config;
mod csv;
mod manifest;
mod platform;
mod reference;

pub use annotation::{Annotation, Level, annotations};
pub use boolean::go_bool;
pub use config::*;
pub use csv::csv_fields;
pub use manifest::*;
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError};
