//! Layers to image.
//!
//! *Takes* a configuration and layers. *Gives* OCI documents and archives, and reads those of
//! others into the store. *Must never know* the Dockerfile or the schedule.

mod config;

pub use config::*;
