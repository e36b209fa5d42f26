//! Whole builds, by the command line, as a user runs them. As root: the sandbox and the drivers are the real ones.

mod cache;
mod digests;
mod failures;
mod images;
mod records;
mod run;
mod world;
