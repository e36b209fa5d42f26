//! Reads a build record and prints its critical path: what determined when the build ended.
//!
//! ```text
//! buildscope build --record build.json .
//! cargo run -p buildscope-reports --example critical_path -- build.json
//! ```

#![allow(clippy::print_stdout, reason = "an example prints its result")]

use buildscope_record::Record;
use buildscope_reports::explain;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: critical_path RECORD")?;
    let record = Record::from_json(&std::fs::read(path)?)?;
    let explanation = explain(&record);

    println!("{}", explanation.answer);
    println!("{:>9}  {:>9}  step", "on path", "drag");
    for leg in &explanation.path {
        let step = &explanation.steps[leg.step.index()];
        println!("{:>9}  {:>9}  {}", (leg.end - leg.start).to_string(), step.drag.to_string(), step.text);
    }
    Ok(())
}
