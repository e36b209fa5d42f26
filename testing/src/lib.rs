//! Test support for all crates: a test declares its requirements and never passes without having run.
//!
//! A suite is an integration test with `harness = false`, whose `main` calls [`main`] and whose modules import
//! [`test`]. A test whose requirement is missing is ignored with its reason; under `CI=true` it fails. Continuous
//! integration that cannot provide a requirement names it in `BUILDSCOPE_TEST_WITHOUT`, a list with commas.
//!
//! Unit tests run under the standard harness, which cannot ignore at run time. They carry
//! `#[ignore = "needs root"]` and call [`require`] first; `scripts/test` runs the ignored ones too.
//!
//! ```
//! use buildscope_testing::test;
//!
//! #[test(Root, Program("strace"))]
//! fn a_known_script_has_the_expected_counts() {}
//! ```

#![forbid(unsafe_code)]

mod archives;
mod casd;
mod disk;
mod need;
mod patience;
mod port;
mod random;
mod registry;

pub use archives::sparse_petabyte;
pub use buildscope_testing_macros::test;
pub use casd::Casd;
pub use disk::Disk;
#[doc(hidden)]
pub use inventory;
pub use libtest_mimic::Trial;
pub use need::{Need, program};
pub use patience::{in_time, undisturbed, until};
pub use port::free_port;
pub use random::Random;
pub use registry::Registry;

use libtest_mimic::{Arguments, Completion};
use need::TestVerdict;
use std::process::ExitCode;

/// A test and its requirements.
pub struct Test {
    /// The path of the function, starting with the name of its crate.
    pub path: &'static str,
    /// The requirements of the test.
    pub needs: &'static [Need],
    /// The test; it fails by a panic.
    pub run: fn(),
}

inventory::collect!(Test);

/// Registers a function for [`main`]. The attribute [`test`] expands to it.
#[doc(hidden)]
#[macro_export]
macro_rules! register {
    ($name:ident) => {
        $crate::inventory::submit! {
            $crate::Test { path: concat!(module_path!(), "::", stringify!($name)), needs: &[], run: || $name() }
        }
    };
    ($name:ident $($needs:tt)+) => {
        $crate::inventory::submit! {
            $crate::Test {
                path: concat!(module_path!(), "::", stringify!($name)),
                needs: { use $crate::Need::*; &[$($needs)+] },
                run: || $name(),
            }
        }
    };
}

/// Runs the registered tests of this program with the command line of the standard harness.
#[must_use]
pub fn main() -> ExitCode {
    let tests = inventory::iter::<Test>.into_iter().map(|test| {
        let name = test.path.split_once("::").map_or(test.path, |(_, name)| name);
        trial(name, test.needs, test.run)
    });
    run(tests.collect())
}

/// Runs these tests, sorted by name.
#[must_use]
pub fn run(mut trials: Vec<Trial>) -> ExitCode {
    trials.sort_by(|one, other| one.name().cmp(other.name()));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// One test for [`run`]: it runs if its requirements are met; otherwise it is ignored or fails, with the reason.
pub fn trial(name: &str, needs: &[Need], test: impl FnOnce() + Send + 'static) -> Trial {
    match need::verdict(needs) {
        TestVerdict::Run => Trial::test(name, || {
            test();
            Ok(())
        }),
        TestVerdict::Fail(reason) => Trial::test(name, || Err(reason.into())),
        TestVerdict::Ignore(reason) => Trial::ignorable_test(name, || {
            // Nextest skips tests that are listed as ignored, and counts every started test that exits normally as
            // passed.
            if std::env::var_os("NEXTEST").is_some() {
                Err(reason.into())
            } else {
                Ok(Completion::ignored_with(reason))
            }
        })
        // The harness prints a reason only for tests that were not marked as ignored before.
        .with_ignored_flag(std::env::args().any(|argument| argument == "--list")),
    }
}

/// Limits the memory that this process can write to (RLIMIT_DATA). An allocation beyond it ends the process.
///
/// # Panics
/// Panics if the limit cannot be set.
pub fn limit_memory(bytes: u64) {
    let limit = rustix::process::Rlimit { current: Some(bytes), maximum: Some(bytes) };
    rustix::process::setrlimit(rustix::process::Resource::Data, limit).expect("a process may lower its limits");
}

/// Fails a unit test with the reason if a requirement is missing. Such a test has `#[ignore]`, so it was requested
/// explicitly.
///
/// # Panics
/// Panics with the first missing requirement.
#[track_caller]
pub fn require(needs: &[Need]) {
    if let Some(reason) = needs.iter().find_map(Need::missing) {
        panic!("{reason}");
    }
}
