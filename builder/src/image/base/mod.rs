//! Base images that buildscope makes itself, so that builds work where no registry is in reach.

pub(crate) mod busybox;
mod elf;
