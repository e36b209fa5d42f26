//! Entry points for the fuzz targets in `fuzz/`; not part of the public interface.

use crate::message::{InitMessage, InitReport};
use crate::wire::Wire;

/// Decodes a message to a step's init.
pub fn message(bytes: &[u8]) {
    round_trip::<InitMessage>(bytes);
}

/// Decodes a report of a step's init.
pub fn report(bytes: &[u8]) {
    round_trip::<InitReport>(bytes);
}

/// Decodes a value, encodes it, decodes that and compares the encodings.
fn round_trip<T: Wire>(mut bytes: &[u8]) {
    let Some(value) = T::take(&mut bytes) else { return };
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    value.put(&mut once);
    T::take(&mut &once[..]).expect("an encoded value can be decoded").put(&mut twice);
    assert_eq!(once, twice);
}
