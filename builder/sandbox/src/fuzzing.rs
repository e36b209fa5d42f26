//! Entrances for the fuzz targets in `fuzz/`; not an interface.

use crate::order::{Order, Report};
use crate::wire::Wire;

/// Reads an order to the zygote.
pub fn order(bytes: &[u8]) {
    crosses::<Order>(bytes);
}

/// Reads a report of a step's init.
pub fn report(bytes: &[u8]) {
    crosses::<Report>(bytes);
}

/// What is read is written and read again as the same.
fn crosses<T: Wire>(mut bytes: &[u8]) {
    let Some(value) = T::take(&mut bytes) else { return };
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    value.put(&mut once);
    T::take(&mut &once[..]).expect("what was written can be read").put(&mut twice);
    assert_eq!(once, twice);
}
