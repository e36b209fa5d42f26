//! The sources of the values of variables.

/// A source of variables.
pub trait Variables {
    /// Returns the value of a variable, if it is set. Names are case-sensitive.
    fn get(&self, name: &str) -> Option<&str>;
}

/// A source of variables in which no variable is set.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoVariables;

impl Variables for NoVariables {
    fn get(&self, _: &str) -> Option<&str> {
        None
    }
}

impl<S: std::borrow::Borrow<str> + Ord> Variables for std::collections::BTreeMap<S, String> {
    fn get(&self, name: &str) -> Option<&str> {
        std::collections::BTreeMap::get(self, name).map(String::as_str)
    }
}
