//! The function of semantic versions.

use super::{
    Function,
    arguments::{take, text},
    exact,
};
use crate::{semantic, value::Value};

pub(super) const FUNCTIONS: &[Function] = &[exact("semvercmp", 2, |a| {
    let [version, constraint] = take(a)?;
    semantic::satisfies(&text(version)?, &text(constraint)?).map(Value::Bool)
})];
