//! The flags of `build` and `bake` for other machines.

use crate::Failure;
use buildscope_builder::remote::{CacheMounts, Fallback, RemoteRequest};
use buildscope_remote::RemoteOptions;
use clap::{Args, ValueEnum};
use miette::miette;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// The variable with a bearer token for the servers.
const TOKEN: &str = "BUILDSCOPE_REMOTE_TOKEN";

/// The servers that RUN steps are sent to.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Other machines")]
pub(in crate::builder) struct RemoteFlags {
    /// Run RUN steps on the workers of this server, which speaks the Remote Execution API; may be repeated
    #[arg(long, value_name = "grpc[s]://HOST:PORT[/INSTANCE]")]
    remote: Vec<String>,
    /// What happens to a step if no server can run it: local (it runs on this machine) or fail
    #[arg(long, value_enum, value_name = "WHAT", default_value_t, requires = "remote")]
    remote_fallback: FallbackFlag,
    /// Run up to this number of steps at a time on this machine, and only the others on the servers
    #[arg(long, value_name = "N", requires = "remote")]
    remote_local_jobs: Option<NonZeroUsize>,
    /// Where cache mounts are: local (steps with one run on this machine) or worker (each worker keeps its own)
    #[arg(long, value_enum, value_name = "WHERE", default_value_t, requires = "remote")]
    remote_cache_mounts: CacheMountsFlag,
    /// Send this header with each call; may be repeated
    #[arg(long, value_name = "NAME=VALUE", requires = "remote")]
    remote_header: Vec<String>,
    /// Send the bearer token in this file, which is read for each call [default: BUILDSCOPE_REMOTE_TOKEN]
    #[arg(long, value_name = "FILE", requires = "remote")]
    remote_token_file: Option<PathBuf>,
    /// Trust the certificate authorities in this file (PEM) instead of the public ones
    #[arg(long, value_name = "FILE", requires = "remote")]
    remote_ca: Option<PathBuf>,
    /// The certificate of this client (PEM), for mutual TLS
    #[arg(long, value_name = "FILE", requires = "remote_key", requires = "remote")]
    remote_cert: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "remote_cert", requires = "remote")]
    remote_key: Option<PathBuf>,
    /// How long a call may take, and how long a transfer may stand still [default: 60]
    #[arg(long, value_name = "SECONDS", requires = "remote")]
    remote_timeout: Option<f64>,
    /// Run steps on workers with this property; may be repeated
    #[arg(long, value_name = "NAME=VALUE", requires = "remote")]
    remote_property: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum FallbackFlag {
    #[default]
    Local,
    Fail,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum CacheMountsFlag {
    #[default]
    Local,
    Worker,
}

impl RemoteFlags {
    /// The servers; `None` if no server is given.
    pub(in crate::builder) fn request(&self) -> Result<Option<RemoteRequest>, Failure> {
        let servers = self.remote.iter().map(|address| self.server(address)).collect::<Result<Vec<_>, _>>()?;
        let property = |text: &String| {
            let split = text.split_once('=');
            let (name, value) =
                split.ok_or_else(|| Failure::usage(miette!("--remote-property takes NAME=VALUE, not `{text}`")))?;
            Ok((name.to_owned(), value.to_owned()))
        };
        let request = RemoteRequest {
            servers,
            fallback: match self.remote_fallback {
                FallbackFlag::Local => Fallback::Local,
                FallbackFlag::Fail => Fallback::Fail,
            },
            local_jobs: self.remote_local_jobs,
            cache_mounts: match self.remote_cache_mounts {
                CacheMountsFlag::Local => CacheMounts::Local,
                CacheMountsFlag::Worker => CacheMounts::Worker,
            },
            properties: self.remote_property.iter().map(property).collect::<Result<_, _>>()?,
        };
        Ok(Some(request).filter(|request| !request.servers.is_empty()))
    }

    fn server(&self, address: &str) -> Result<RemoteOptions, Failure> {
        let usage = |reason: String| Failure::usage(miette!("--remote: {reason}"));
        let address: buildscope_remote::Address =
            address.parse().map_err(|error: buildscope_remote::AddressError| usage(error.to_string()))?;
        let mut options = RemoteOptions::of(address);
        let headers = self.remote_header.iter().map(|text| RemoteOptions::header(text)).collect::<Result<_, _>>();
        options.headers = headers.map_err(|reason| Failure::usage(miette!("--remote-header: {reason}")))?;
        options.token_file.clone_from(&self.remote_token_file);
        if options.token_file.is_none() {
            options.token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
        }
        options.authority.clone_from(&self.remote_ca);
        options.identity = self.remote_cert.clone().zip(self.remote_key.clone());
        if let Some(seconds) = self.remote_timeout {
            let wrong = || Failure::usage(miette!("--remote-timeout takes a number of seconds, not `{seconds}`"));
            options.timeout = RemoteOptions::time_limit(seconds).ok_or_else(wrong)?;
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser, error::ErrorKind};

    #[derive(Debug, Parser)]
    struct Build {
        #[command(flatten)]
        remote: RemoteFlags,
    }

    #[test]
    fn every_flag_needs_a_server() {
        let command = Build::command();
        let flags: Vec<_> = command.get_arguments().filter_map(|flag| flag.get_long()).collect();
        assert!(flags.len() > 8, "{flags:?}");
        for flag in flags.into_iter().filter(|&flag| flag != "remote") {
            let value = match flag {
                "remote-fallback" => "fail",
                "remote-cache-mounts" => "worker",
                _ => "1",
            };
            let mut words = vec!["build".to_owned(), format!("--{flag}={value}")];
            words.extend(
                ["remote-key", "remote-cert"]
                    .map(|pair| format!("--{pair}=x"))
                    .into_iter()
                    .filter(|_| flag.ends_with("key") || flag.ends_with("cert"))
                    .filter(|word| !word.contains(flag)),
            );
            let error = Build::try_parse_from(&words).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument, "{words:?}: {error}");
            words.push("--remote=grpc://worker:8980".to_owned());
            assert!(Build::try_parse_from(&words).is_ok(), "{words:?}");
        }
        assert!(Build::try_parse_from(["build"]).is_ok());
    }
}
