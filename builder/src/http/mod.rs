//! HTTP for registries and downloads: an agent with the right certificate authorities, retries, dates.
//!
//! *Takes* a host, or a request to send. *Gives* an agent, or the response of the last attempt. *Must never know* what
//! is fetched: it imports nothing else of the builder.

mod agent;
mod date;
mod pace;
mod proxy;
mod retry;

pub(crate) use agent::{Trust, agent};
pub(crate) use date::{now, parse_http_date, rfc3339};
pub(crate) use pace::TransferPace;
pub(crate) use proxy::proxies;
pub(crate) use retry::{Backoff, Retries, RetryPolicy, asked_pause, retry};
