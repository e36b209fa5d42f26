//! `buildscope base`: base images for machines without a registry.

use crate::{Failure, Root, write_out};
use buildscope_builder::images::{
    Credentials, DebianBase, ImageError, Images, Registries, RegistryOptions, busybox_base,
};
use buildscope_oci::{Descriptor, Reference};
use buildscope_record::Probe;
use buildscope_storage::{Store, StoreOptions};
use miette::{IntoDiagnostic, WrapErr, miette};

/// Create a base image without a registry: `busybox`, or `debian:SUITE` (with mmdebstrap)
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The image: busybox, or debian:SUITE
    image: String,
    /// Additional packages (Debian)
    #[arg(long, value_name = "PACKAGE", value_delimiter = ',')]
    include: Vec<String>,
    /// Package mirror (Debian) [default: the mirror that mmdebstrap uses]
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Name of the image in the store [default: IMAGE]
    #[arg(short, long, value_name = "NAME")]
    tag: Option<String>,
    #[command(flatten)]
    root: Root,
}

const EXAMPLES: &str = "Examples:
  buildscope base busybox
  buildscope base debian:bookworm --include gcc,make --tag toolchain-c";

/// Creates the image and prints its digest.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let usage = |error: buildscope_oci::ReferenceError| Failure::usage(miette!("{error}"));
    let wanted: Reference = arguments.image.parse().map_err(usage)?;
    let name: Reference =
        arguments.tag.as_deref().map_or_else(|| Ok(wanted.clone()), |tag| tag.parse().map_err(usage))?;
    let root = arguments.root.resolve()?;
    let store = Store::open(&root, StoreOptions::default()).into_diagnostic().map_err(Failure::Internal)?;
    let probe = Probe::disabled();
    let made: Result<Descriptor, ImageError> = match (wanted.repository.as_str(), wanted.tag_or_latest()) {
        ("library/busybox", "latest") => busybox(&store, arguments.tag.as_ref().map(|_| &name)),
        ("library/debian", suite) if suite != "latest" => {
            let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().filter(|text| !text.is_empty());
            let epoch = epoch.map(|text| text.parse()).transpose().into_diagnostic();
            let base = DebianBase {
                suite: suite.to_owned(),
                include: arguments.include,
                mirror: arguments.mirror,
                epoch: epoch
                    .wrap_err("invalid SOURCE_DATE_EPOCH: it takes seconds since 1970")
                    .map_err(Failure::Usage)?,
            };
            base.make(&store, &name, &probe)
        }
        _ => {
            let known = miette!("cannot create `{}`: use busybox or debian:SUITE", arguments.image);
            return Err(Failure::usage(known));
        }
    };
    let made = made.into_diagnostic().map_err(Failure::Failed)?;
    store.sync(&probe).into_diagnostic().map_err(Failure::Internal)?;
    write_out(&format!("{}\n", made.digest));
    Ok(())
}

fn busybox(store: &Store, name: Option<&Reference>) -> Result<Descriptor, ImageError> {
    let registries = Registries::new(RegistryOptions::default(), Credentials::of_docker()?);
    let made = busybox_base(store, Some(&registries), &Probe::disabled())?;
    name.map_or(Ok(()), |name| Images::of(store).name(name, &made))?;
    Ok(made)
}
