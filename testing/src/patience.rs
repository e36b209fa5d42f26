//! Tests about times and about servers, on machines that others use.

use std::fmt::Debug;
use std::panic::Location;
use std::time::{Duration, Instant};

/// The factors of the times in the attempts of [`undisturbed`].
const FACTORS: [u32; 4] = [1, 1, 4, 16];

/// The longest time for something that a machine at rest does at once.
const LONGEST: Duration = Duration::from_secs(300);

/// Repeats a test about times until other programs have not disturbed it: a wrong program is wrong each time.
///
/// An attempt multiplies its times by the factor that it gets. The factors grow, so the delays of a busy machine become a small part of these
/// times. It returns what was [seen](in_time) in place of the expected times. What does not depend on times is asserted as usual, and fails at
/// once.
///
/// # Panics
/// Panics if no attempt has the expected times.
#[track_caller]
pub fn undisturbed(mut attempt: impl FnMut(u32) -> Result<(), String>) {
    let mut seen = Vec::new();
    for factor in FACTORS {
        match attempt(factor) {
            Ok(()) => return,
            Err(other) => {
                eprintln!("with times multiplied by {factor}, {other}");
                seen.push(other);
            }
        }
    }
    panic!("the times were never as expected: the program is wrong, or the machine is too busy: {seen:#?}");
}

/// `Ok` if a condition about times holds; otherwise where it did not, and what was seen.
#[track_caller]
pub fn in_time(holds: bool, seen: impl Debug) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{}: {seen:?}", Location::caller())) }
}

/// Waits until a condition holds. `what` it is begins the message of the test that fails.
///
/// # Panics
/// Panics if it does not hold after five minutes.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONGEST, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_repeated_with_longer_times_until_it_is_right() {
        let mut factors = Vec::new();
        undisturbed(|factor| {
            factors.push(factor);
            in_time(factor > 1, "too short")
        });
        assert_eq!(factors, [1, 1, 4]);
    }

    #[test]
    #[should_panic(expected = "never as expected")]
    fn a_program_that_is_always_wrong_fails() {
        undisturbed(|_| in_time(false, "wrong"));
    }
}
