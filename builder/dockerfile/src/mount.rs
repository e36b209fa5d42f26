//! The options of `RUN --mount`.

use super::expand::ExpandError;
use super::{BadId, Diagnostic, Id, Word};
use std::borrow::Cow;

/// The options of one mount.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Spec {
    /// The type of the mount (`type=`).
    pub kind: MountType,
    /// The stage, named context or image that the files come from (`from=`).
    pub from: Option<String>,
    /// The path in the source (`source=`).
    pub source: Option<String>,
    /// The path in the container (`target=`).
    pub target: Option<String>,
    /// Whether the mount is read-only: true for `readonly`, false for `readwrite`.
    pub readonly: Option<bool>,
    /// The name of the cache, secret or SSH agent (`id=`).
    pub id: Option<String>,
    /// The sharing of a cache: `shared`, `private` or `locked` (`sharing=`).
    pub sharing: Option<String>,
    /// The maximum size of a tmpfs in bytes (`size=`).
    pub size: Option<u64>,
    /// The permission bits (`mode=`).
    pub mode: Option<u32>,
    /// The owner (`uid=`).
    pub uid: Option<Id>,
    /// The group (`gid=`).
    pub gid: Option<Id>,
    /// Whether the step fails without the secret or the SSH agent (`required`).
    pub required: bool,
    /// The environment variable that gets the secret (`env=`).
    pub env: Option<String>,
}

/// The type of a mount.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MountType {
    /// Files of the context, a stage or an image.
    #[default]
    Bind,
    /// A directory that is kept between builds.
    Cache,
    /// A file system in memory.
    Tmpfs,
    /// A file or environment variable with a secret.
    Secret,
    /// The socket of an SSH agent.
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

/// A function that expands a value.
pub type Expand<'a> = &'a dyn Fn(&str) -> Result<String, ExpandError>;

impl Spec {
    /// Checks the part of the options that decides which stages a file needs. BuildKit checks all other options only for
    /// stages that the target needs, because their values may be variables.
    ///
    /// # Errors
    /// A diagnostic at the position of the flag, for a `from` that is a variable.
    pub(super) fn check(word: &Word<'_>) -> Result<(), Diagnostic> {
        match Self::from_of(word) {
            // A `$` at the end is an ordinary character.
            Some(from) if from.find('$').is_some_and(|at| at + 1 < from.len()) => {
                let message = "'from' doesn't support variable expansion, define alias stage instead";
                let help = "write FROM $image AS name above, and from=name here";
                Err(Diagnostic::new(word.span, message).label("in this mount").help(help))
            }
            _ => Ok(()),
        }
    }

    /// Returns the value of `from=`, which needs no variables.
    pub fn from_of(word: &Word<'_>) -> Option<String> {
        let fields = Fields { rest: Some(&word.text) };
        let from = fields.filter_map(|field| {
            let (key, value) = field.split_once('=')?;
            key.eq_ignore_ascii_case("from").then(|| value.to_owned())
        });
        from.last().filter(|from| !from.is_empty())
    }

    /// Parses the options. Every value except that of `from` is expanded.
    ///
    /// # Errors
    /// A diagnostic at the position of the flag.
    pub fn parse(word: &Word<'_>, expand: Expand<'_>) -> Result<Self, Diagnostic> {
        let mut reading = Reading { word, spec: Self::default(), only: Vec::new() };
        for field in (Fields { rest: Some(&word.text) }) {
            reading.field(&field, expand)?;
        }
        reading.finish()
    }
}

/// The state of parsing one mount.
struct Reading<'w, 't> {
    word: &'w Word<'t>,
    spec: Spec,
    /// The given options that only some types have, with these types. They are checked at the end, because `type` may
    /// come last.
    only: Vec<(&'static str, &'static [MountType])>,
}

impl Reading<'_, '_> {
    fn diagnostic(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.word.span, message.into()).label("in this mount")
    }

    /// Reads a field: `key=value` or `key`.
    fn field(&mut self, field: &str, expand: Expand<'_>) -> Result<(), Diagnostic> {
        let (key, value) = field.split_once('=').map_or((field, None), |(key, value)| (key, Some(value)));
        let lower = key.to_ascii_lowercase();
        let known = KEYS.into_iter().find(|known| *known == lower);
        let value: Cow<'_, str> = match value {
            None if matches!(known, Some("readonly" | "ro" | "readwrite" | "rw" | "required")) => "true".into(),
            None => {
                return Err(self
                    .diagnostic(format!("invalid field '{field}' must be a key=value pair"))
                    .help(format!("write {}=value", known.unwrap_or("key"))));
            }
            Some(value) if known == Some("from") => value.into(),
            Some(value) => expand(value).map_err(|error| self.diagnostic(error.to_string()).help(error.help()))?.into(),
        };
        let Some(key) = known else {
            return Err(self
                .diagnostic(format!("unexpected key '{lower}' in '{field}'"))
                .help(format!("use one of {}", KEYS.join(", ")))
                .did_you_mean(&lower, KEYS));
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
                let invalid = || self.diagnostic(format!("invalid value {value} for size")).help("write size=64m");
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
            // BuildKit ignores it for all types but secrets.
            _ => self.spec.env = Some(value.into_owned()),
        }
        Ok(())
    }

    fn mount_type(&self, value: &str) -> Result<MountType, Diagnostic> {
        let known = TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
        known.map(|(_, kind)| *kind).ok_or_else(|| {
            self.diagnostic(format!("unsupported mount type {value:?}"))
                .help("use one of the types bind, cache, tmpfs, secret and ssh")
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
            .diagnostic(format!("unsupported sharing value {value:?}"))
            .help("use one of shared, private and locked")
            .did_you_mean(&lower, KNOWN))
    }

    fn id(&self, key: &str, value: &str) -> Result<Id, Diagnostic> {
        value.parse().map_err(|error| match error {
            BadId::NotANumber(_) => self.invalid_number(key, value),
            BadId::OutOfRange(_) => self
                .diagnostic(format!("invalid value for {key}: {error}"))
                .help(format!("write {key}=0, or another id up to 2147483647")),
        })
    }

    fn invalid_number(&self, key: &str, value: &str) -> Diagnostic {
        self.diagnostic(format!("invalid value {value} for {key}")).help(format!("write {key}=0"))
    }

    /// Parses a boolean as Go's `strconv.ParseBool` does.
    fn flag(&self, key: &str, value: &str) -> Result<bool, Diagnostic> {
        match value {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
            _ => Err(self
                .diagnostic(format!("invalid value for {key}: {value}"))
                .help(format!("write {key}=true or {key}=false"))),
        }
    }

    /// Checks the options against the type. A mount without a target is mounted at the working directory, and BuildKit
    /// ignores the `from` of types without files.
    fn finish(self) -> Result<Spec, Diagnostic> {
        let kind = self.spec.kind;
        for (key, kinds) in &self.only {
            if !kinds.contains(&kind) {
                let names = kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
                return Err(self
                    .diagnostic(format!("unexpected key '{key}' for mount type '{}'", kind.name()))
                    .help(format!("use {key} only with the types {names}")));
            }
        }
        let given = |value: &Option<String>| value.as_ref().is_some_and(|value| !value.is_empty());
        if kind == MountType::Secret && given(&self.spec.from) {
            return Err(self.diagnostic("secret mount should not have a from").help("remove from"));
        }
        if kind == MountType::Secret && given(&self.spec.source) && given(&self.spec.id) {
            return Err(self.diagnostic("both source and id can't be set").help("remove source"));
        }
        Ok(self.spec)
    }
}

impl MountType {
    /// Returns the name that `type=` uses.
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

/// The comma-separated fields of a mount, by the rules of CSV: a quoted field may contain commas, and a doubled quote
/// within it is one quote.
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

/// Returns the values of the options, which may contain variables.
pub(super) fn values<'t>(word: &Word<'t>) -> Vec<Word<'t>> {
    let fields = Fields { rest: Some(&word.text) };
    let values = fields.filter_map(|field| field.split_once('=').map(|(_, value)| value.to_owned()));
    values.map(|value| Word { text: value.into(), span: word.span }).collect()
}

/// Parses a size as docker's `units.RAMInBytes` does: a number with an optional unit `k`, `m`, `g`, `t` or `p`, in
/// powers of 1024. Returns bytes, or `None` if the text is not a size or the size is not below 8 EiB.
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
    let bytes = number * factor as f64;
    // docker has signed numbers, and 0 would mean no limit. The number cannot be negative.
    (bytes < i64::MAX as f64).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    /// Each is an error by the rules of the Dockerfile reference, with BuildKit's message.
    #[test]
    fn invalid_options_have_buildkit_s_messages() {
        for (options, message) in [
            ("type=cache,target=/c,sharing=some", "unsupported sharing value"),
            ("target=/c,sharing=shared", "unexpected key 'sharing' for mount type 'bind'"),
            ("type=tmpfs,target=/c,size=big", "invalid value big for size"),
            ("type=secret,from=a", "secret mount should not have a from"),
            ("type=secret,id=a,src=b", "both source and id can't be set"),
            ("type=cache,target=/c,uid=4294967295", "id 4294967295 is out of range"),
            ("type=secret,id=s,gid=2147483648", "id 2147483648 is out of range"),
            ("type=ssh,uid=root", "invalid value root for uid"),
            ("target=/c,mode=99,type=cache", "invalid value 99 for mode"),
            ("z", "invalid field 'z' must be a key=value pair"),
            ("targe=/c", "unexpected key 'targe' in 'targe=/c' (did you mean target?)"),
            ("type=bindd", "unsupported mount type \"bindd\" (did you mean bind?)"),
        ] {
            let word = Word { text: options.into(), span: Span::new(0, options.len()) };
            let error = Spec::parse(&word, &|value| Ok(value.to_owned())).unwrap_err();
            assert!(error.message.contains(message) && error.help.is_some(), "{options}: {error:?}");
        }
    }
}
