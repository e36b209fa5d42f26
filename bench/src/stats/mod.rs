//! Statistics of a few noisy times, with confidence levels.
//!
//! *Takes* numbers. *Gives* numbers and verdicts. Random methods use a fixed seed, so the same samples always give
//! the same result. *Must never know* what was measured.

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
