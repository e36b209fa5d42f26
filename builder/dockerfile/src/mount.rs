//! `RUN --mount`: its options.

use super::expand::ExpandError;
use super::{BadId, Diagnostic, Id, Word};
use std::borrow::Cow;

/// The options of one mount.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Spec {
    /// What kind.
    pub kind: MountType,
    /// `from=`.
    pub from: Option<String>,
    /// `source=`.
    pub source: Option<String>,
    /// `target=`.
    pub target: Option<String>,
    /// `readonly` (true), `readwrite` (false).
    pub readonly: Option<bool>,
    /// `id=`.
    pub id: Option<String>,
    /// `sharing=`.
    pub sharing: Option<String>,
    /// `size=` in bytes.
    pub size: Option<u64>,
    /// `mode=`.
    pub mode: Option<u32>,
    /// `uid=`.
    pub uid: Option<Id>,
    /// `gid=`.
    pub gid: Option<Id>,
    /// `required`.
    pub required: bool,
    /// `env=`.
    pub env: Option<String>,
}

/// `type=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MountType {
    /// Files of the context, a stage or an image.
    #[default]
    Bind,
    /// A directory kept between builds.
    Cache,
    /// Memory.
    Tmpfs,
    /// A secret.
    Secret,
    /// An SSH agent's socket.
    Ssh,
}

const TYPES: [(&str, MountType); 5] = [
    ("bind", MountType::Bind),
    ("cache", MountType::Cache),
    ("tmpfs", MountType::Tmpfs),
    ("secret", MountType::Secret),
    ("ssh", MountType::Ssh),
];

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "size",
    "mode",
    "uid",
    "gid",
    "required",
    "env",
];

/// What a value is expanded with.
pub type Expand<'a> = &'a dyn Fn(&str) -> Result<String, ExpandError>;

impl Spec {
    /// Checks what can be checked before variables are known.
    ///
    /// # Errors
    /// The fault at the flag's place.
    pub(super) fn check(word: &Word<'_>) -> Result<(), Diagnostic> {
        Self::read(word, None).map(|_| ())
    }

    /// Reads the options, every value but `from` expanded.
    ///
    /// # Errors
    /// The fault at the flag's place.
    pub fn parse(word: &Word<'_>, expand: Expand<'_>) -> Result<Self, Diagnostic> {
        Self::read(word, Some(expand))
    }

    fn read(word: &Word<'_>, expand: Option<Expand<'_>>) -> Result<Self, Diagnostic> {
        let fault = |message: String| Diagnostic::new(word.span, message).label("in this mount");
        let mut spec = Self::default();
        // Options that only some types have are checked at the end: `type` may come last.
        let mut only = Vec::new();
        let mut type_known = true;
        for field in (Fields { rest: Some(&word.text) }) {
            let (key, value) = field.split_once('=').map_or((&*field, None), |(key, value)| (key, Some(value)));
            let Some(&key) = KEYS.iter().find(|known| known.eq_ignore_ascii_case(key)) else {
                let key = key.to_ascii_lowercase();
                return Err(fault(format!("unexpected key '{key}' in '{field}'")).did_you_mean(&key, KEYS));
            };
            let value: Cow<'_, str> = match value {
                None if matches!(key, "readonly" | "ro" | "readwrite" | "rw" | "required") => "true".into(),
                None => {
                    return Err(fault(format!("invalid field '{field}' must be a key=value pair"))
                        .help(format!("write {key}=value")));
                }
                Some(value) if key == "from" => {
                    if value.find('$').is_some_and(|at| at + 1 < value.len()) {
                        return Err(fault(
                            "'from' doesn't support variable expansion, define alias stage instead".into(),
                        )
                        .help("write FROM $image AS name above, and from=name here"));
                    }
                    value.into()
                }
                Some(value) => match expand {
                    Some(expand) => expand(value).map_err(|error| fault(error.to_string()).help(error.help()))?.into(),
                    // Not known before the variables are.
                    None if value.contains('$') => {
                        type_known &= key != "type";
                        continue;
                    }
                    None => value.into(),
                },
            };
            let invalid =
                |what: &str| fault(format!("invalid value {value} for {what}")).help(format!("write {what}=0"));
            let id = |what: &str| {
                value.parse::<Id>().map_err(|error| match error {
                    BadId::NotANumber(_) => invalid(what),
                    BadId::OutOfRange(_) => fault(format!("invalid value for {what}: {error}"))
                        .help(format!("write {what}=0, or another id up to 2147483647")),
                })
            };
            let flag =
                || match &*value {
                    "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
                    "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
                    _ => Err(fault(format!("invalid value for {key}: {value}"))
                        .help(format!("write {key}=true or {key}=false"))),
                };
            match key {
                "type" => {
                    spec.kind = TYPES
                        .iter()
                        .find(|(name, _)| name.eq_ignore_ascii_case(&value))
                        .map(|(_, kind)| *kind)
                        .ok_or_else(|| {
                            fault(format!("unsupported mount type {value:?}"))
                                .help("a type is one of bind, cache, tmpfs, secret, ssh")
                                .did_you_mean(&value, TYPES.map(|(name, _)| name))
                        })?;
                }
                "from" => spec.from = Some(value.into_owned()),
                "source" | "src" => spec.source = Some(value.into_owned()),
                "target" | "dst" | "destination" => spec.target = Some(value.into_owned()),
                "readonly" | "ro" => spec.readonly = Some(flag()?),
                "readwrite" | "rw" => spec.readonly = Some(!flag()?),
                "id" => spec.id = Some(value.into_owned()),
                "required" => {
                    spec.required = flag()?;
                    only.push((key, &[MountType::Secret, MountType::Ssh][..]));
                }
                "size" => {
                    spec.size = Some(
                        bytes(&value)
                            .ok_or_else(|| fault(format!("invalid value {value} for size")).help("write size=64m"))?,
                    );
                    only.push((key, &[MountType::Tmpfs]));
                }
                "sharing" => {
                    let lower = value.to_ascii_lowercase();
                    if !matches!(&*lower, "shared" | "private" | "locked") {
                        return Err(fault(format!("unsupported sharing value {value:?}"))
                            .help("sharing is one of shared, private, locked")
                            .did_you_mean(&lower, ["shared", "private", "locked"]));
                    }
                    spec.sharing = Some(lower);
                    only.push((key, &[MountType::Cache]));
                }
                "mode" => {
                    spec.mode = Some(u32::from_str_radix(&value, 8).map_err(|_| invalid("mode"))?);
                    only.push((key, &[MountType::Cache, MountType::Secret, MountType::Ssh]));
                }
                "uid" => {
                    spec.uid = Some(id("uid")?);
                    only.push((key, &[MountType::Cache, MountType::Secret, MountType::Ssh]));
                }
                "gid" => {
                    spec.gid = Some(id("gid")?);
                    only.push((key, &[MountType::Cache, MountType::Secret, MountType::Ssh]));
                }
                _ => {
                    spec.env = Some(value.into_owned());
                    only.push((key, &[MountType::Secret]));
                }
            }
        }
        if !type_known {
            return Ok(spec);
        }
        for (key, kinds) in only {
            if !kinds.contains(&spec.kind) {
                return Err(fault(format!("unexpected key '{key}' for mount type '{}'", spec.kind.name())).help(
                    format!("{key} belongs to {}", kinds.iter().map(|k| k.name()).collect::<Vec<_>>().join(", ")),
                ));
            }
        }
        if spec.from.is_some() && !matches!(spec.kind, MountType::Bind | MountType::Cache) {
            return Err(fault(format!("'from' is not allowed for mount type '{}'", spec.kind.name()))
                .help("from belongs to bind and cache"));
        }
        let needs_target = matches!(spec.kind, MountType::Bind | MountType::Cache | MountType::Tmpfs);
        if needs_target && spec.target.is_none() && !word.contains('$') {
            return Err(fault(format!("mount type {} requires a target", spec.kind.name())).help("add target=/path"));
        }
        Ok(spec)
    }
}

impl MountType {
    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Cache => "cache",
            Self::Tmpfs => "tmpfs",
            Self::Secret => "secret",
            Self::Ssh => "ssh",
        }
    }
}

/// The comma-separated fields, as in a line of CSV: quotes keep commas, a doubled quote is one.
struct Fields<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest.take()?;
        if !text.starts_with('"') {
            let (field, rest) = text.split_once(',').map_or((text, None), |(field, rest)| (field, Some(rest)));
            self.rest = rest;
            return Some(field.into());
        }
        let mut field = String::new();
        let mut quoted = false;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' if quoted && chars.next_if(|(_, next)| *next == '"').is_some() => field.push('"'),
                '"' if quoted => quoted = false,
                '"' if field.is_empty() => quoted = true,
                ',' if !quoted => {
                    self.rest = Some(&text[at + 1..]);
                    break;
                }
                c => field.push(c),
            }
        }
        Some(field.into())
    }
}

/// docker's `units.RAMInBytes`: a number with an optional `k`, `m`, `g`, `t`, `p` in powers of 1024.
pub fn bytes(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let number: f64 = lower[..digits].parse().ok()?;
    let unit = lower[digits..].trim_start();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit);
    let factor: u64 = match unit {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        "p" => 1 << 50,
        _ => return None,
    };
    // A float-to-integer `as` saturates, and negative numbers cannot be written here.
    Some((number * factor as f64) as u64)
}
