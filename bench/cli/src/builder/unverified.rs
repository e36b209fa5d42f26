//! The arguments that name registries without a verified connection.

/// Registries whose connection is not verified.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct UnverifiedRegistries {
    /// Do not verify the certificate of this registry, and use plain HTTP if it does not speak TLS
    #[arg(long, value_name = "HOST", help_heading = "Registries")]
    pub(super) insecure_registry: Vec<String>,
    /// Use plain HTTP for this registry (registries on this machine: tried automatically)
    #[arg(long, value_name = "HOST", help_heading = "Registries")]
    pub(super) plain_http: Vec<String>,
}
