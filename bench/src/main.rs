//! The `buildscope` binary: all of it is in the library, where tests and benchmarks reach it.

fn main() -> std::process::ExitCode {
    buildscope_bench::cli::main()
}
