//! Layers to image.
//!
//! *Takes* a configuration and layers. *Gives* OCI documents and archives, and reads those of
//! others into the store. *Must never know* the Dockerfile or the schedule.

mod archive;
mod assemble;
mod config;
mod document;
mod error;
mod layout;
mod output;
mod platform;
mod reference;
mod resolved;
mod time;

pub use assemble::{Image, Made, assemble};
pub use config::*;
pub use document::*;
pub use error::ImageError;
pub use layout::LayoutImage;
pub use output::{Destination, ImageOptions, Output, OutputError, OutputKind, csv_fields};
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError};
pub use resolved::{Blobs, ImageLayer, ResolvedImage};
pub use time::{now, rfc3339};
