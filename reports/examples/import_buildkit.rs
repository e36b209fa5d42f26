//! Reads the log of another builder and prints where the build's time went.
//!
//! ```text
//! docker buildx build --progress rawjson . 2> build.rawjson
//! cargo run -p buildscope-reports --example import_buildkit -- build.rawjson
//! ```
//!
//! Without an argument it reads a small sample of this repository.

#![allow(clippy::print_stdout, reason = "an example prints its result")]

use buildscope_reports::{explain, import};
use std::error::Error;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/buildkit.rawjson");

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| SAMPLE.to_owned());
    let bytes = std::fs::read(&path)?;
    let record = import::import(&bytes)?;
    println!("{path}: a build by {}, {} steps, {}", record.source.tool, record.steps.len(), record.wall);

    let explanation = explain(&record);
    println!("{}", explanation.answer);
    for row in &explanation.accounts.groups {
        println!("{:>9}  {}", row.wall.to_string(), row.name);
    }
    for missing in &explanation.missing {
        println!("unknown: {missing}");
    }
    Ok(())
}
