//! What can be said of a few noisy times, and with which confidence.
//!
//! *Takes* numbers. *Gives* numbers and verdicts; what is random in it comes from a fixed seed, so
//! the same samples always get the same answer. *Must never know* what was measured.

mod bootstrap;
mod change_points;
mod gate;
mod holm;
mod mann_whitney;
mod summary;
mod trend;
mod verdict;

pub use bootstrap::{Ratio, paired_ratio};
pub use change_points::{ChangePoint, change_points};
pub use gate::threshold;
pub use holm::holm;
pub use mann_whitney::{MannWhitney, mann_whitney, smallest_p};
pub use summary::{Summary, quantile};
pub use trend::{Trend, trend};
pub use verdict::{ALPHA, Comparison, Verdict, compare};
