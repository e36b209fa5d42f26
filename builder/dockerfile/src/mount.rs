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
        let mut reading = Reading { word, spec: Self::default(), only: Vec::new(), type_known: true };
        for field in (Fields { rest: Some(&word.text) }) {
            reading.field(&field, expand)?;
        }
        reading.finish()
    }
}

/// One mount being read, field by field.
struct Reading<'w, 't> {
    word: &'w Word<'t>,
    spec: Spec,
    /// Options that only some types have. They are checked at the end: `type` may come last.
    only: Vec<(&'static str, &'static [MountType])>,
    /// False if the type depends on a variable whose value is not known yet.
    type_known: bool,
}

impl Reading<'_, '_> {
    fn fault(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.word.span, message.into()).label("in this mount")
    }

    /// One field: `key=value` or `key`. Without `expand`, values with variables are skipped.
    fn field(&mut self, field: &str, expand: Option<Expand<'_>>) -> Result<(), Diagnostic> {
        let (key, value) = field.split_once('=').map_or((field, None), |(key, value)| (key, Some(value)));
        let Some(&key) = KEYS.iter().find(|known| known.eq_ignore_ascii_case(key)) else {
            let key = key.to_ascii_lowercase();
            return Err(self.fault(format!("unexpected key '{key}' in '{field}'")).did_you_mean(&key, KEYS));
        };
        let value: Cow<'_, str> = match value {
            None if matches!(key, "readonly" | "ro" | "readwrite" | "rw" | "required") => "true".into(),
            None => {
                return Err(self
                    .fault(format!("invalid field '{field}' must be a key=value pair"))
                    .help(format!("write {key}=value")));
            }
            Some(value) if key == "from" => {
                if value.find('$').is_some_and(|at| at + 1 < value.len()) {
                    return Err(self
                        .fault("'from' doesn't support variable expansion, define alias stage instead")
                        .help("write FROM $image AS name above, and from=name here"));
                }
                value.into()
            }
            Some(value) => match expand {
                Some(expand) => expand(value).map_err(|error| self.fault(error.to_string()).help(error.help()))?.into(),
                None if value.contains('$') => {
                    self.type_known &= key != "type";
                    return Ok(());
                }
                None => value.into(),
            },
        };
        self.option(key, value)
    }

    fn option(&mut self, key: &'static str, value: Cow<'_, str>) -> Result<(), Diagnostic> {
        const WITH_OWNER: &[MountType] = &[MountType::Cache, MountType::Secret, MountType::Ssh];
        match key {
            "type" => self.spec.kind = self.mount_type(&value)?,
            "from" => self.spec.from = Some(value.into_owned()),
            "source" | "src" => self.spec.source = Some(value.into_owned()),
            "target" | "dst" | "destination" => self.spec.target = Some(value.into_owned()),
            "readonly" | "ro" => self.spec.readonly = Some(self.flag(key, &value)?),
            "readwrite" | "rw" => self.spec.readonly = Some(!self.flag(key, &value)?),
            "id" => self.spec.id = Some(value.into_owned()),
            "required" => {
                self.spec.required = self.flag(key, &value)?;
                self.only.push((key, &[MountType::Secret, MountType::Ssh]));
            }
            "size" => {
                let size = bytes(&value);
                let invalid = || self.fault(format!("invalid value {value} for size")).help("write size=64m");
                self.spec.size = Some(size.ok_or_else(invalid)?);
                self.only.push((key, &[MountType::Tmpfs]));
            }
            "sharing" => {
                self.spec.sharing = Some(self.sharing(&value)?);
                self.only.push((key, &[MountType::Cache]));
            }
            "mode" => {
                self.spec.mode = Some(u32::from_str_radix(&value, 8).map_err(|_| self.invalid_number(key, &value))?);
                self.only.push((key, WITH_OWNER));
            }
            "uid" => {
                self.spec.uid = Some(self.id(key, &value)?);
                self.only.push((key, WITH_OWNER));
            }
            "gid" => {
                self.spec.gid = Some(self.id(key, &value)?);
                self.only.push((key, WITH_OWNER));
            }
            _ => {
                self.spec.env = Some(value.into_owned());
                self.only.push((key, &[MountType::Secret]));
            }
        }
        Ok(())
    }

    fn mount_type(&self, value: &str) -> Result<MountType, Diagnostic> {
        let known = TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
        known.map(|(_, kind)| *kind).ok_or_else(|| {
            self.fault(format!("unsupported mount type {value:?}"))
                .help("a type is one of bind, cache, tmpfs, secret, ssh")
                .did_you_mean(value, TYPES.map(|(name, _)| name))
        })
    }

    fn sharing(&self, value: &str) -> Result<String, Diagnostic> {
        const KNOWN: [&str; 3] = ["shared", "private", "locked"];
        let lower = value.to_ascii_lowercase();
        if KNOWN.contains(&&*lower) {
            return Ok(lower);
        }
        Err(self
            .fault(format!("unsupported sharing value {value:?}"))
            .help("sharing is one of shared, private, locked")
            .did_you_mean(&lower, KNOWN))
    }

    fn id(&self, key: &str, value: &str) -> Result<Id, Diagnostic> {
        value.parse().map_err(|error| match error {
            BadId::NotANumber(_) => self.invalid_number(key, value),
            BadId::OutOfRange(_) => self
                .fault(format!("invalid value for {key}: {error}"))
                .help(format!("write {key}=0, or another id up to 2147483647")),
        })
    }

    fn invalid_number(&self, key: &str, value: &str) -> Diagnostic {
        self.fault(format!("invalid value {value} for {key}")).help(format!("write {key}=0"))
    }

    /// A boolean as Go's `strconv.ParseBool` reads it.
    fn flag(&self, key: &str, value: &str) -> Result<bool, Diagnostic> {
        match value {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
            _ => Err(self
                .fault(format!("invalid value for {key}: {value}"))
                .help(format!("write {key}=true or {key}=false"))),
        }
    }

    /// Checks the options against the type.
    fn finish(self) -> Result<Spec, Diagnostic> {
        if !self.type_known {
            return Ok(self.spec);
        }
        let kind = self.spec.kind;
        for (key, kinds) in &self.only {
            if !kinds.contains(&kind) {
                let names = kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
                return Err(self
                    .fault(format!("unexpected key '{key}' for mount type '{}'", kind.name()))
                    .help(format!("{key} belongs to {names}")));
            }
        }
        if self.spec.from.is_some() && !matches!(kind, MountType::Bind | MountType::Cache) {
            return Err(self
                .fault(format!("'from' is not allowed for mount type '{}'", kind.name()))
                .help("from belongs to bind and cache"));
        }
        let needs_target = matches!(kind, MountType::Bind | MountType::Cache | MountType::Tmpfs);
        if needs_target && self.spec.target.is_none() && !self.word.contains('$') {
            return Err(self.fault(format!("mount type {} requires a target", kind.name())).help("add target=/path"));
        }
        Ok(self.spec)
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
