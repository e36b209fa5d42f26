//! `--chmod`: octal, or symbolic as in chmod(1).

use super::CopyError;

/// A value of `--chmod`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// A number, which sets all twelve bits.
    Octal(u32),
    /// Clauses, which change the mode of each file.
    Symbolic(Vec<Clause>),
}

/// A clause of a symbolic mode: `[ugoa]*[-+=][rwxXstugo]*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    /// The mask of the classes u, g and o: 0o700, 0o070 and 0o007 combined.
    who: u32,
    operator: Operator,
    /// The permission bits for all three classes, before `who` is applied.
    bits: u32,
    /// `X`: execute permission for directories, and for files that someone may already execute.
    conditional: bool,
    /// `s`: setuid and setgid.
    set_id: bool,
    /// `t`: the sticky bit.
    sticky: bool,
    /// The shift of the class whose bits are copied, if the permissions are `u`, `g` or `o`.
    copy_of: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Remove,
    Set,
}

impl Mode {
    pub(super) fn parse(text: &str) -> Result<Self, CopyError> {
        let bad = || CopyError::BadMode(text.to_owned());
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return match u32::from_str_radix(text, 8) {
                Ok(mode) if mode <= 0o7777 => Ok(Self::Octal(mode)),
                _ => Err(bad()),
            };
        }
        let mut clauses = Vec::new();
        for list in text.split(',') {
            parse_list(list.as_bytes(), &mut clauses).ok_or_else(bad)?;
        }
        Ok(Self::Symbolic(clauses))
    }

    /// The new mode of a file or directory with the mode `old`.
    pub(super) fn apply(&self, old: u32, directory: bool) -> u32 {
        match self {
            Self::Octal(mode) => *mode,
            Self::Symbolic(clauses) => {
                // `X` depends on the mode before the first clause.
                let executable = directory || old & 0o111 != 0;
                clauses.iter().fold(old, |mode, clause| clause.apply(mode, executable))
            }
        }
    }
}

fn parse_list(list: &[u8], clauses: &mut Vec<Clause>) -> Option<()> {
    let letters = list.iter().take_while(|byte| b"ugoa".contains(byte)).count();
    let who = list[..letters].iter().fold(0, |who, byte| who | mask(*byte));
    // No letter means all classes. chmod(1) would apply the umask then; BuildKit does not.
    let who = if who == 0 { 0o777 } else { who };
    let mut rest = &list[letters..];
    if rest.is_empty() {
        return None;
    }
    while let [operator, after @ ..] = rest {
        let operator = match operator {
            b'+' => Operator::Add,
            b'-' => Operator::Remove,
            b'=' => Operator::Set,
            _ => return None,
        };
        let end = after.iter().position(|byte| b"+-=".contains(byte)).unwrap_or(after.len());
        let mut clause =
            Clause { who, operator, bits: 0, conditional: false, set_id: false, sticky: false, copy_of: None };
        match &after[..end] {
            b"u" => clause.copy_of = Some(6),
            b"g" => clause.copy_of = Some(3),
            b"o" => clause.copy_of = Some(0),
            permissions => {
                for byte in permissions {
                    match byte {
                        b'r' => clause.bits |= 0o444,
                        b'w' => clause.bits |= 0o222,
                        b'x' => clause.bits |= 0o111,
                        b'X' => clause.conditional = true,
                        b's' => clause.set_id = true,
                        b't' => clause.sticky = true,
                        _ => return None,
                    }
                }
            }
        }
        clauses.push(clause);
        rest = &after[end..];
    }
    Some(())
}

fn mask(who: u8) -> u32 {
    match who {
        b'u' => 0o700,
        b'g' => 0o070,
        b'o' => 0o007,
        _ => 0o777,
    }
}

impl Clause {
    fn apply(&self, mode: u32, executable: bool) -> u32 {
        let mut bits = self.bits;
        if self.conditional && executable {
            bits |= 0o111;
        }
        if let Some(shift) = self.copy_of {
            let triple = mode >> shift & 0o7;
            bits = triple << 6 | triple << 3 | triple;
        }
        bits &= self.who;
        let mut ids = 0;
        if self.who & 0o700 != 0 {
            ids |= 0o4000;
        }
        if self.who & 0o070 != 0 {
            ids |= 0o2000;
        }
        if self.set_id {
            bits |= ids;
        }
        if self.sticky && self.who & 0o007 != 0 {
            bits |= 0o1000;
        }
        match self.operator {
            Operator::Add => mode | bits,
            Operator::Remove => mode & !bits,
            Operator::Set => mode & !(self.who | ids) | bits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str, old: u32) -> u32 {
        Mode::parse(text).unwrap().apply(old, false)
    }

    #[test]
    fn octal_modes_set_all_twelve_bits() {
        assert_eq!(changed("1777", 0), 0o1777);
        assert_eq!(changed("0440", 0o755), 0o440);
        assert_eq!(changed("4711", 0), 0o4711);
    }

    #[test]
    fn symbolic_modes_follow_posix() {
        // POSIX.1-2024, chmod, "EXTENDED DESCRIPTION" and its examples.
        assert_eq!(changed("a+=r", 0o755), 0o444);
        assert_eq!(changed("go-rwx", 0o755), 0o700);
        assert_eq!(changed("a+x", 0o644), 0o755);
        assert_eq!(changed("+x", 0o644), 0o755);
        assert_eq!(changed("u+s,g+w", 0o755), 0o4775);
        assert_eq!(changed("o=", 0o755), 0o750);
        assert_eq!(changed("g=u-w", 0o640), 0o640);
        assert_eq!(changed("o=g", 0o750), 0o755);
        assert_eq!(changed("u=rwX,go=rX", 0o600), 0o644);
        assert_eq!(changed("u=rwX,go=rX", 0o700), 0o755);
        assert_eq!(Mode::parse("u=rwX,go=rX").unwrap().apply(0o600, true), 0o755);
        assert_eq!(changed("u=rw", 0o4755), 0o655);
        assert_eq!(changed("+t", 0o755), 0o1755);
        assert_eq!(changed("g+s", 0o755), 0o2755);
    }

    #[test]
    fn malformed_modes_are_errors() {
        for text in ["9x9", "888", "10000", "", "u", "u*x", "u+q", "z+x", "u+x,", "-1", "u+ug"] {
            assert!(matches!(Mode::parse(text), Err(CopyError::BadMode(_))), "{text}");
        }
    }
}
