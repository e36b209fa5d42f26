//! Who a file can belong to.

/// The largest user or group id of a file. `chown` takes the next one, 4294967295, as "leave it as it is" (chown(2)), and file
/// systems show a file that has it as another user's or none's.
pub const MAX_OWNER_ID: u32 = u32::MAX - 1;

/// A user or group id that a file can belong to; none if `value` is not one.
pub fn owner_id(value: u64) -> Option<u32> {
    u32::try_from(value).ok().filter(|&id| id <= MAX_OWNER_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minus_one_is_not_an_id() {
        assert_eq!(owner_id(0), Some(0));
        assert_eq!(owner_id(4_294_967_294), Some(4_294_967_294));
        assert_eq!(owner_id(4_294_967_295), None);
        assert_eq!(owner_id(1 << 32), None, "Go cuts it off to 0, which is root");
    }
}
