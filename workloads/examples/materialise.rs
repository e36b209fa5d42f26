//! Writes the context of a workload: `cargo run -p buildscope-workloads --example materialise -- fleet-40 DIRECTORY`.

use buildscope_workloads::Corpus;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, directory] = &arguments[..] else {
        eprintln!("usage: materialise WORKLOAD DIRECTORY");
        return ExitCode::from(2);
    };
    let corpus = Corpus::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus"));
    let written = corpus.and_then(|corpus| corpus.load(name)?.materialise(Path::new(directory)));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
