# Short names for common tasks (https://github.com/casey/just). `just` lists them. Each runs a script or one cargo command,
# so nothing here is needed to work on the project.

[private]
default:
    @just --list --unsorted

# Compile everything without producing binaries: the fastest answer
check *args:
    cargo check --workspace --all-targets {{ args }}

# Run the tests of a crate: `just test buildscope-reports whatif`
test crate *filter:
    cargo test -p {{ crate }} {{ filter }}

# Run all checks, as CI does
all:
    scripts/test

# Format, clippy, spelling, wording, directions of imports
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- --deny warnings
    scripts/typos
    scripts/prose
    scripts/arrows

# Benchmark the working tree against a revision with criterion
bench revision="main" *args:
    scripts/microbench {{ revision }} {{ args }}

# Build one example under each policy and explain where the time went
demo workload="diamond":
    scripts/demo {{ workload }}

# Fuzz a target of fuzz/ for a minute (needs cargo-fuzz and a nightly toolchain); `cargo test -p buildscope-fuzz` needs neither
fuzz target="parse" seconds="60":
    scripts/fuzz {{ seconds }} {{ target }}

# Build the API documentation: target/doc/
docs *args:
    cargo doc --workspace --no-deps {{ args }}
