//! The messages of an error and of its sources, as one text.

/// All messages, from the error to its last source.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    messages(error).join(": ")
}

/// All messages, without those that only repeat the previous one.
pub(crate) fn distinct_causes(error: &dyn std::error::Error) -> String {
    let mut messages = messages(error);
    messages.dedup();
    messages.join(": ")
}

fn messages(error: &dyn std::error::Error) -> Vec<String> {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect()
}
