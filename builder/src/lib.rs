//! buildscope's reference builder: Dockerfile in, image out, with an account of every second.
//!
//! Data flows in one direction: text → instructions ([`buildscope_dockerfile`]) → graph ([`plan`]) →
//! schedule ([`buildscope_schedule`]) → effects ([`steps`], fed by [`sources`]) → layers ([`buildscope_storage`]) →
//! image ([`images`]). [`engine`] runs one build and calls each in turn.

#![forbid(unsafe_code)]

pub mod engine;
pub mod images;
pub mod plan;
pub mod sources;
pub mod steps;
