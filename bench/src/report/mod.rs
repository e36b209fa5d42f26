//! A run as a self-contained HTML page: compared settings, whiskers, distributions, progressions, trends.
//!
//! *Takes* a run and, if there is one, the history. *Gives* HTML with inline SVG. *Must never know* how the run was
//! measured.

mod overview;
mod page;
mod reading;
mod svg;

pub use page::{MedianBuild, Trend, page};
pub use reading::{against_first, doubts, seconds};
