//! The values of flags for RUN steps, as docker writes them: sizes, hosts, limits, secrets, agents.

use crate::Failure;
use buildscope_builder::steps::run::{AgentSource, SecretSource};
use buildscope_sandbox::knows_resource_limit;
use miette::miette;
use std::collections::BTreeMap;
use std::path::PathBuf;

pub(super) fn bad(flag: &str, value: &str, takes: &str) -> Failure {
    Failure::usage(miette!("{flag} takes {takes}, not `{value}`"))
}

/// Parses `HOST:IP` or `HOST=IP`. An IPv6 address may be in brackets.
pub(super) fn host(text: &str) -> Result<(String, String), Failure> {
    let split = text.split_once('=').or_else(|| text.split_once(':'));
    let (name, address) = split.ok_or_else(|| bad("--add-host", text, "HOST:IP"))?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    if address == "host-gateway" {
        let why = "steps cannot reach the host's loopback: use --network host, or the host's own address";
        return Err(Failure::usage(miette!("--add-host {text} is not supported: {why}")));
    }
    match address.parse::<std::net::IpAddr>() {
        Ok(_) if !name.is_empty() => Ok((name.to_owned(), address.to_owned())),
        _ => Err(bad("--add-host", text, "HOST:IP")),
    }
}

/// Parses docker's sizes: a number of bytes, or a number with a unit (powers of 1024).
pub(super) fn size(flag: &str, text: &str) -> Result<u64, Failure> {
    let size = buildscope_dockerfile::mount::bytes(text);
    size.ok_or_else(|| bad(flag, text, "bytes, or a number with k, m or g, below 8 EiB"))
}

/// Parses `NAME=SOFT[:HARD]`; -1 means no limit.
pub(super) fn ulimit(text: &str) -> Result<(String, (u64, u64)), Failure> {
    let wrong = || bad("--ulimit", text, "NAME=SOFT[:HARD]");
    let (name, limits) = text.split_once('=').ok_or_else(wrong)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let number = |text: &str| if text == "-1" { Ok(u64::MAX) } else { text.parse().map_err(|_| wrong()) };
    let (soft, hard): (u64, u64) = (number(soft)?, number(hard)?);
    if !knows_resource_limit(name) {
        return Err(bad("--ulimit", name, "the name of a resource limit, like nofile or nproc"));
    }
    if soft > hard {
        return Err(bad("--ulimit", text, "a soft limit that is at most the hard one"));
    }
    Ok((name.to_owned(), (soft, hard)))
}

/// Parses `id=ID[,src=FILE]` or `id=ID,env=NAME`, with `type=file` or `type=env`. Without either, the variable or
/// file of that name is used.
pub(super) fn secret(text: &str) -> Result<(String, SecretSource), Failure> {
    let wrong = || bad("--secret", text, "id=ID,src=FILE or id=ID,env=NAME");
    let mut fields = BTreeMap::new();
    for field in text.split(',') {
        let (name, value) = field.split_once('=').ok_or_else(wrong)?;
        if !["id", "src", "source", "env", "type"].contains(&name) {
            return Err(Failure::usage(miette!("--secret {text}: unknown option `{name}`")));
        }
        fields.insert(name, value);
    }
    let file = fields.get("src").or_else(|| fields.get("source")).copied();
    let id = fields.get("id").copied().or(file).ok_or_else(wrong)?;
    let kind = fields.get("type").copied();
    let source = match (kind, file, fields.get("env").copied()) {
        (Some("env"), Some(name), None) | (None | Some("env"), None, Some(name)) => SecretSource::Env(name.into()),
        (None | Some("file"), Some(file), None) => SecretSource::File(PathBuf::from(file)),
        (None | Some("env"), None, None) if std::env::var_os(id).is_some() => SecretSource::Env(id.into()),
        (None | Some("file"), None, None) => SecretSource::File(PathBuf::from(id)),
        _ => return Err(wrong()),
    };
    Ok((id.to_owned(), source))
}

/// Refuses a secret whose file is missing, also if no step uses it.
pub(super) fn existing((id, source): (String, SecretSource)) -> Result<(String, SecretSource), Failure> {
    if let SecretSource::File(path) = &source
        && let Err(error) = std::fs::metadata(path)
    {
        return Err(Failure::usage(miette!("--secret id={id}: {}: {error}", path.display())));
    }
    Ok((id, source))
}

/// Parses `ID[=SOCKET]` or `ID=KEY[,KEY]`. Without either, the agent of this session is used.
pub(super) fn agent(text: &str) -> Result<(String, AgentSource), Failure> {
    let (id, paths): (_, Vec<PathBuf>) = match text.split_once('=') {
        Some((id, paths)) => (id, paths.split(',').map(PathBuf::from).collect()),
        None => match std::env::var_os("SSH_AUTH_SOCK") {
            Some(socket) => (text, vec![PathBuf::from(socket)]),
            None => return Err(Failure::usage(miette!("--ssh {text} needs an agent, but SSH_AUTH_SOCK is not set"))),
        },
    };
    if id.is_empty() {
        return Err(bad("--ssh", text, "ID[=SOCKET] or ID=KEY[,KEY]"));
    }
    if let Some((path, error)) = paths.iter().find_map(|path| Some((path, std::fs::metadata(path).err()?))) {
        return Err(Failure::usage(miette!("--ssh {text}: {}: {error}", path.display())));
    }
    let source = match <[PathBuf; 1]>::try_from(paths) {
        Ok([socket]) if !socket.is_file() => AgentSource::Socket(socket),
        Ok(key) => AgentSource::Keys(key.into()),
        Err(keys) => AgentSource::Keys(keys),
    };
    Ok((id.to_owned(), source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_use_dockers_units() {
        let ok = |text| size("--memory", text).ok();
        assert_eq!([ok("512"), ok("64m"), ok("2G"), ok("1kb")], [Some(512), Some(64 << 20), Some(2 << 30), Some(1024)]);
        assert_eq!([ok("m"), ok("1x"), ok("99999999999g"), ok("-1"), ok("9223372036854775808")], [None; 5]);
    }

    #[test]
    fn secrets_hosts_and_limits_are_parsed() {
        let parsed = |text| secret(text).ok();
        assert_eq!(parsed("id=a,src=f"), Some(("a".into(), SecretSource::File("f".into()))));
        assert_eq!(parsed("id=a,type=env,src=V"), Some(("a".into(), SecretSource::Env("V".into()))));
        assert_eq!(parsed("id=a,env=V"), Some(("a".into(), SecretSource::Env("V".into()))));
        assert_eq!(
            parsed("id=no_such_variable"),
            Some(("no_such_variable".into(), SecretSource::File("no_such_variable".into())))
        );
        assert_eq!([parsed("a"), parsed("id=a,type=file,env=V")], [None, None]);
        assert_eq!(host("h:10.0.0.1").ok(), Some(("h".into(), "10.0.0.1".into())));
        assert_eq!(host("h=[::1]").ok(), Some(("h".into(), "::1".into())));
        assert!(host("h:elsewhere").is_err() && host("h:host-gateway").is_err());
        assert!(secret("id=a,src=f,colour=red").is_err_and(|error| format!("{error:?}").contains("colour")));
        assert_eq!(ulimit("nofile=10:20").ok(), Some(("nofile".into(), (10, 20))));
        assert_eq!(ulimit("core=-1").ok(), Some(("core".into(), (u64::MAX, u64::MAX))));
        assert!(ulimit("nope=1").is_err() && ulimit("nofile=2:1").is_err());
    }
}
