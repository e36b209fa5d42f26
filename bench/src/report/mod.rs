//! A run as a page: whiskers, distributions, progressions, comparisons, in one file without network.
//!
//! *Takes* a run (and, where there is one, the history). *Gives* HTML with inline SVG. *Must never
//! know* how it was measured.

mod page;
mod svg;

pub use page::{Trend, page};
