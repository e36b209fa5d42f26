//! Numeric user and group ids.

use std::str::FromStr;

/// The id of a user or a group, in docker's range.
///
/// The kernel treats 4294967295 as "leave the id as it is" (setresuid(2), chown(2)), so a step that asked for that user
/// would run as root. docker and runc reject all ids from 2147483648 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(u32);

/// The error of a text that is not the id of a user or a group. It holds the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// The text is not a number. It may be a name.
    #[error("`{0}` is not a number")]
    NotANumber(String),
    /// The number is out of range.
    #[error("id {0} is out of range: use a user or group id from 0 to {max}, docker's range", max = Id::MAX.0)]
    OutOfRange(String),
}

impl Id {
    /// The largest valid id.
    pub const MAX: Self = Self(i32::MAX as u32);

    /// Returns the id as a number.
    pub fn get(self) -> u32 {
        self.0
    }

    /// Checks that the ids in `user` or `user:group` are in range. Names are not checked, because only the files of the
    /// image define them.
    ///
    /// # Errors
    /// [`BadId::OutOfRange`] with the number that is out of range.
    pub fn check_owner(text: &str) -> Result<(), BadId> {
        for part in text.splitn(2, ':') {
            if let Err(error @ BadId::OutOfRange(_)) = part.parse::<Self>() {
                return Err(error);
            }
        }
        Ok(())
    }
}

impl FromStr for Id {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BadId::NotANumber(text.to_owned()));
        }
        // A number that is too long for the type is out of range as well.
        match text.parse::<i32>() {
            Ok(id @ 0..) => Ok(Self(id as u32)),
            _ => Err(BadId::OutOfRange(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The range is that of moby's `user` package: "uids and gids must be in range 0-2147483647".
    #[test]
    fn ids_are_in_dockers_range() {
        for (text, id) in [("0", 0), ("007", 7), ("2147483647", 2_147_483_647)] {
            assert_eq!(text.parse::<Id>().map(Id::get), Ok(id));
        }
        for text in ["2147483648", "4294967295", "4294967296", "99999999999999999999", "-1"] {
            let error = text.parse::<Id>().unwrap_err();
            assert!(matches!(&error, BadId::OutOfRange(said) if said == text), "{text}");
            assert!(error.to_string().contains("from 0 to 2147483647"), "{error}");
        }
        for text in ["", "+", "root", "1x", "0x10"] {
            assert!(matches!(text.parse::<Id>(), Err(BadId::NotANumber(_))), "{text}");
        }
    }

    #[test]
    fn owners_with_an_id_out_of_range_are_errors() {
        for text in ["", "root", "1:2", "root:wheel", ":5"] {
            assert_eq!(Id::check_owner(text), Ok(()), "{text}");
        }
        for text in ["4294967295", "1:2147483648", "root:4294967295"] {
            assert!(Id::check_owner(text).is_err(), "{text}");
        }
    }
}
