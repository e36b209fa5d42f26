//! A run as a page: choices compared, whiskers, distributions, progressions, trends, in one file without network.
//!
//! *Takes* a run (and, where there is one, the history). *Gives* HTML with inline SVG. *Must never
//! know* how it was measured.

mod overview;
mod page;
mod reading;
mod svg;

pub use page::{Built, Trend, page};
pub use reading::{against_first, doubts, seconds};
