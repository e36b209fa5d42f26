//! One build from beginning to end: the table of contents of this crate.
//!
//! *Takes* a [`Request`]. *Gives* an [`Outcome`]: the image, or why there is none, and what became
//! of every step. The rooms it calls do the work; here stands only who comes after whom.

mod progress;
mod request;

pub use progress::{Event, Progress, Stream};
pub use request::{DockerfileInput, Request};
