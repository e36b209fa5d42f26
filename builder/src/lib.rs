//! buildscope's reference builder: Dockerfile in, image out, and every second accounted for.
//!
//! The way of the data runs one way: text → instructions ([`dockerfile`]) → graph ([`plan`]) →
//! schedule ([`schedule`]) → effects ([`execute`], fed by [`source`]) → layers ([`storage`]) →
//! image ([`image`]). [`build`] is the table of contents that calls each in turn.

pub mod build;
pub mod dockerfile;
pub mod execute;
pub mod image;
pub mod plan;
pub mod schedule;
pub mod source;
pub mod storage;
