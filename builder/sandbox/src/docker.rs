//! docker's default seccomp profile by number, as a table for tests. The table's first lines say its date and its source.

const TABLE: &str = include_str!("seccomp/docker-2026-06-30.tsv");

/// The rule of a system call for a process with docker's default capabilities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SeccompRule {
    Allow,
    /// EPERM.
    Refuse,
    /// ENOSYS.
    Unknown,
    /// The rule depends on the arguments.
    Argument,
}

/// A row of the table.
pub(super) struct SeccompRow {
    pub(super) architecture: &'static str,
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) rule: SeccompRule,
}

/// The rows of all architectures.
pub(super) fn rows() -> impl Iterator<Item = SeccompRow> {
    TABLE.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let fields: Vec<_> = line.split('\t').collect();
        let [architecture, number, name, rule] = fields[..] else { panic!("{line}") };
        let rule = match rule {
            "allow" => SeccompRule::Allow,
            "refuse" => SeccompRule::Refuse,
            "unknown" => SeccompRule::Unknown,
            "argument" => SeccompRule::Argument,
            other => panic!("{other}"),
        };
        SeccompRow { architecture, number: number.parse().unwrap(), name, rule }
    })
}
