//! Repeats requests after failures that may pass: broken connections, silence, 408, 429, 5xx.

use super::parse_http_date;
use std::time::{Duration, SystemTime};
use ureq::Body;
use ureq::http::{Response, StatusCode};

/// Longest `Retry-After` that is honoured. A longer one is reported as an error.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often a request is sent, and the pause before the second attempt; each further pause is twice as long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// At least 1.
    pub(crate) attempts: u32,
    /// Before the second attempt.
    pub(crate) first_pause: Duration,
}

/// Sends until the response is final or no attempt is left. Returns the last response or error.
pub(crate) fn retry(
    backoff: Backoff,
    mut send: impl FnMut() -> Result<Response<Body>, ureq::Error>,
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
        std::thread::sleep(asked.unwrap_or(pause));
        pause *= 2;
    }
    send()
}

/// The pause that a server asks for with `Retry-After` (RFC 9110, 10.2.3): seconds, or the date when it ends.
pub(crate) fn asked_pause(response: &Response<Body>) -> Option<Duration> {
    let asked = response.headers().get("retry-after")?.to_str().ok()?;
    let until = |date: i64| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Duration::from_secs(date.try_into().unwrap_or_default()).saturating_sub(now)
    };
    asked.parse().ok().map(Duration::from_secs).or_else(|| parse_http_date(asked).map(until))
}

fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}
