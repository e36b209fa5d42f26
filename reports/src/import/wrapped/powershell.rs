//! Error records of PowerShell: if the output is redirected, the first line that a program writes to its standard error becomes one.
//!
//! ```text
//! docker : #0 building with "default" instance using docker driver
//! At line:1 char:1
//! + docker build . 2>&1 | Tee-Object build.log
//! + ~~~~~~~~~~~~~~~~~~~
//!     + CategoryInfo          : NotSpecified: (#0 building with ...:String) [], RemoteException
//!     + FullyQualifiedErrorId : NativeCommandError
//! ```

/// The most lines of a record's parts: the command that failed may have several.
const LONGEST: usize = 40;

/// Replaces each record by the program's own line; `None` if there are no records.
pub(super) fn lines(text: &str) -> Option<String> {
    let all: Vec<&str> = text.lines().collect();
    let is_part = |line: &str| line.trim_start().starts_with("+ ");
    let mut out = String::with_capacity(text.len());
    let (mut found, mut at) = (false, 0);
    while at < all.len() {
        // The name of the program and its line, which is broken where the window ends; the place; then the parts.
        let record = all[at].split_once(" : ").filter(|(name, _)| !name.contains(char::is_whitespace));
        let parts = at + all[at..].iter().skip(1).take(4).position(|line| is_part(line)).map_or(0, |index| index + 1);
        let end = parts + all[parts..].iter().take(LONGEST).take_while(|line| is_part(line)).count();
        let is_record = parts > at + 1 && all[parts..end].iter().any(|line| line.contains("+ CategoryInfo "));
        match record.filter(|_| is_record) {
            Some((_, said)) => {
                found = true;
                out += said.trim_end_matches('\r');
                all[at + 1..parts - 1].iter().for_each(|more| out += more.trim_end_matches('\r'));
                at = end;
            }
            None => {
                out += all[at];
                at += 1;
            }
        }
        out.push('\n');
    }
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_programs() {
        let log = "docker : #1 [1/2] RUN\n make\nAt C:\\ci\\build.ps1:3 char:1\n+ docker build . 2>&1\n+ ~~~~~~~\n    \
                   + CategoryInfo          : NotSpecified: (#1:String) [], RemoteException\n    + FullyQualifiedErrorId : NativeCommandError\n \n#1 DONE 0.1s\n";
        assert_eq!(lines(log).unwrap(), "#1 [1/2] RUN make\n \n#1 DONE 0.1s\n");
        assert_eq!(lines("a : b\nc\n+ docker build .\n#1 [1/2] RUN make\n"), None);
    }
}
