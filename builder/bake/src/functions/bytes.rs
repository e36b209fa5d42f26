//! The functions of buildx that take a buffer of bytes. A file cannot make one, so each argument is an error; `try` and `can` see
//! that.

use super::{Function, exact};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] =
    &[exact("byteslen", 1, |arguments| buffer(&arguments)), exact("bytesslice", 3, |arguments| buffer(&arguments))];

fn buffer(arguments: &[Value]) -> Result<Value, String> {
    let kind = arguments.first().map(|value| value.kind().to_string()).unwrap_or_default();
    Err(format!("bytes required, but have {kind}"))
}
