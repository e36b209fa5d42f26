//! Whole builds through the command line, as a user runs them, with real sandboxes and drivers.
//! `scripts/test-rootless` also runs the tests about steps as an ordinary user.

mod admission;
mod advice;
mod arguments;
mod attested;
mod bake;
mod bake_inputs;
mod bake_record;
mod bases;
mod buckets;
mod cache;
mod cache_transfer;
mod chroots;
mod ci_docs;
mod containers;
mod contexts;
mod daemon;
mod damage;
mod delivery;
mod devices;
mod digests;
mod docker_flags;
mod durability;
mod epoch;
mod failures;
mod front;
mod hostile;
mod images;
mod inside;
mod joined;
mod kept;
mod layers;
mod library;
mod limits;
mod mounts;
mod network;
mod observe;
mod platforms;
mod reach;
mod reasons;
mod records;
mod remote;
mod remote_copy;
mod remote_faults;
mod remote_secure;
mod remote_stock;
mod run;
mod secrets;
mod signals;
mod storage;
mod telemetry;
mod truths;
mod web;
mod world;

fn main() -> std::process::ExitCode {
    library::build_if_asked();
    buildscope_testing::main()
}
