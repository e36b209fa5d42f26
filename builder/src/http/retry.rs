//! Repeats requests after transient failures: broken connections, timeouts, 408, 429, 5xx.

use super::parse_http_date;
use std::time::{Duration, SystemTime};
use ureq::Body;
use ureq::http::{Response, StatusCode};

/// Longest `Retry-After` that is honoured. A longer one is reported as an error.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The number of attempts of a request, and the pauses between them. Each pause is twice as long as the one before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// The number of attempts, at least 1.
    pub(crate) attempts: u32,
    /// The pause before the second attempt.
    pub(crate) first_pause: Duration,
}

/// Sends a request until the response is final or no attempt is left. Returns the last response or error.
pub(crate) fn retry(
    backoff: Backoff,
    send: impl FnMut() -> Result<Response<Body>, ureq::Error>,
) -> Result<Response<Body>, ureq::Error> {
    retry_after(backoff, send, std::thread::sleep)
}

fn retry_after(
    backoff: Backoff,
    mut send: impl FnMut() -> Result<Response<Body>, ureq::Error>,
    mut sleep: impl FnMut(Duration),
) -> Result<Response<Body>, ureq::Error> {
    let mut pause = backoff.first_pause;
    for _ in 1..backoff.attempts {
        let asked = match send() {
            Ok(response) if !may_pass(response.status()) => return Ok(response),
            Ok(response) => match asked_pause(&response) {
                Some(asked) if asked > LONGEST_PAUSE => return Ok(response),
                asked => asked,
            },
            Err(
                ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed | ureq::Error::Protocol(_),
            ) => None,
            Err(error) => return Err(error),
        };
        sleep(asked.unwrap_or(pause));
        pause *= 2;
    }
    send()
}

/// The pause that a server asks for with `Retry-After` (RFC 9110, 10.2.3): a number of seconds, or the date at which
/// the pause ends.
pub(crate) fn asked_pause(response: &Response<Body>) -> Option<Duration> {
    let asked = response.headers().get("retry-after")?.to_str().ok()?;
    let until = |date: i64| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Duration::from_secs(date.try_into().unwrap_or_default()).saturating_sub(now)
    };
    asked.parse().ok().map(Duration::from_secs).or_else(|| parse_http_date(asked).map(until))
}

/// The number of times that a transfer is resumed without progress in between, and the pauses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryPolicy {
    /// The number of retries.
    pub(crate) retries: u32,
    /// The pause before the first retry.
    pub(crate) first_pause: Duration,
    /// The amount by which each pause is longer than the one before it.
    pub(crate) increment: Duration,
}

/// The retries of one transfer. Progress resets the count.
#[derive(Debug)]
pub(crate) struct Retries {
    policy: RetryPolicy,
    used: u32,
    furthest: u64,
}

impl Retries {
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Self { policy, used: 0, furthest: 0 }
    }

    /// Reports that the transfer has reached the offset `at`.
    pub(crate) fn progress(&mut self, at: u64) {
        if at > self.furthest {
            (self.used, self.furthest) = (0, at);
        }
    }

    /// Waits before the next attempt, for as long as the server asks for or the policy says. Returns false, without
    /// waiting, if no retry is left or the pause is longer than [`LONGEST_PAUSE`].
    pub(crate) fn wait(&mut self, asked: Option<Duration>) -> bool {
        let pause = asked.unwrap_or(self.policy.first_pause + self.policy.increment * self.used);
        if self.used == self.policy.retries || pause > LONGEST_PAUSE {
            return false;
        }
        self.used += 1;
        std::thread::sleep(pause);
        true
    }
}

/// Whether a response is a transient failure.
fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST_PAUSE: Duration = Duration::from_millis(100);

    fn response(status: u16, after: Option<&str>) -> Response<Body> {
        let mut response = Response::builder().status(status);
        if let Some(after) = after {
            response = response.header("retry-after", after);
        }
        response.body(Body::builder().data("")).unwrap()
    }

    /// Sends a request to a server with these responses. Returns the last status, the number of requests, and the pauses between them.
    fn retried(answers: &[(u16, Option<&str>)]) -> (u16, usize, Vec<Duration>) {
        let (mut sent, mut pauses) = (0, Vec::new());
        let send = || {
            let (status, after) = answers[sent];
            sent += 1;
            Ok(response(status, after))
        };
        let backoff = Backoff { attempts: 5, first_pause: FIRST_PAUSE };
        let last = retry_after(backoff, send, |pause| pauses.push(pause));
        (last.unwrap().status().as_u16(), sent, pauses)
    }

    #[test]
    fn retry_after_is_honoured() {
        assert_eq!(retried(&[(429, Some("1")), (200, None)]), (200, 2, vec![Duration::from_secs(1)]));
        // Without the header, each pause is twice as long as the one before it.
        assert_eq!(retried(&[(503, None), (503, None), (200, None)]), (200, 3, vec![FIRST_PAUSE, 2 * FIRST_PAUSE]));
    }

    #[test]
    fn a_retry_after_beyond_the_limit_ends_the_attempts() {
        assert_eq!(retried(&[(429, Some("61"))]), (429, 1, Vec::new()));
        // The header may hold a date (RFC 9110, 10.2.3). This one is decades away.
        assert_eq!(retried(&[(503, Some("Fri, 31 Dec 2100 23:59:59 GMT"))]).1, 1);
    }

    #[test]
    fn a_retry_after_in_the_past_needs_no_pause() {
        let asked = asked_pause(&response(503, Some("Sun, 06 Nov 1994 08:49:37 GMT")));
        assert_eq!(asked, Some(Duration::ZERO));
        assert_eq!(asked_pause(&response(503, Some("soon"))), None);
    }

    #[test]
    fn progress_resets_the_retries_of_a_transfer() {
        let policy = RetryPolicy { retries: 2, first_pause: Duration::ZERO, increment: Duration::from_millis(1) };
        let mut retries = Retries::new(policy);
        assert!(retries.wait(None) && retries.wait(None) && !retries.wait(None));
        retries.progress(0);
        assert!(!retries.wait(None), "nothing was transferred");
        retries.progress(7);
        assert!(retries.wait(None));
        retries.progress(7);
        assert!(retries.wait(None) && !retries.wait(None), "the same offset must not reset the count");
        retries.progress(8);
        assert!(!retries.wait(Some(LONGEST_PAUSE + Duration::from_secs(1))));
    }

    #[test]
    fn client_errors_are_not_retried() {
        for status in [400, 401, 403, 404] {
            assert_eq!(retried(&[(status, None)]).1, 1, "{status}");
        }
    }
}
