//! User and group ids that a file can have.

/// The largest user or group id of a file. `chown` takes the next one, 4294967295, as "leave it unchanged" (chown(2)), and file
/// systems do not agree on how they show a file that has it.
pub const MAX_OWNER_ID: u32 = u32::MAX - 1;

/// `value` as a user or group id; `None` if a file cannot have it.
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
        assert_eq!(owner_id(1 << 32), None, "Go truncates it to 0, which is root");
    }
}
