//! The privileges of a step: docker's default capabilities and its seccomp profile.

use super::spec::Privileges;
use super::{seccomp, sys};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

/// docker's default set of fourteen capabilities (moby's `daemon/pkg/oci/caps/defaults.go`).
const DEFAULT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::AUDIT_WRITE);

/// The names, as in OCI documents, of the default set or of all capabilities that this process can pass on.
pub(super) fn names(privileges: Privileges) -> Vec<String> {
    let given = |set: &CapabilitySet| rustix::thread::capability_is_in_bounding_set(*set).unwrap_or(false);
    let wanted: Vec<_> = match privileges {
        Privileges::Docker => DEFAULT.iter_names().collect(),
        Privileges::Insecure => CapabilitySet::all().iter_names().filter(|(_, set)| given(set)).collect(),
    };
    wanted.into_iter().map(|(name, _)| format!("CAP_{name}")).collect()
}

/// The limits of every step that is not `--security=insecure`, prepared once.
pub(super) struct Restrictions {
    filter: Vec<sys::BpfInstruction>,
    /// The capabilities to drop from the bounding set.
    unwanted: Vec<CapabilitySet>,
}

impl Restrictions {
    pub(super) fn prepare() -> Self {
        let unwanted =
            CapabilitySet::all().iter().filter(|&capability| !DEFAULT.contains(capability)).filter(|&capability| {
                // A capability that this kernel does not know gives an error and need not be dropped.
                rustix::thread::capability_is_in_bounding_set(capability).unwrap_or(false)
            });
        Self { filter: seccomp::docker_default(), unwanted: unwanted.collect() }
    }

    /// Limits the bounding set, and so the result of an exec, to the default set, for this process and its children. This process
    /// keeps the capabilities that it holds.
    pub(super) fn bound(&self) -> Result<(), Errno> {
        self.unwanted.iter().try_for_each(|&gone| rustix::thread::remove_capability_from_bounding_set(gone))
    }

    /// Loads the filter and drops all other capabilities; call it after [`Self::bound`]. `no_new_privs` stays off as under docker,
    /// so setuid programs such as sudo work within the bounding set.
    pub(super) fn drop(&self) -> Result<(), Errno> {
        // Loading a filter needs CAP_SYS_ADMIN, so the filter comes first.
        sys::seccomp(&self.filter)?;
        // The inheritable set stays empty (CVE-2022-24769). An exec cannot regain capabilities outside of the bounding set.
        let own = rustix::thread::capabilities(None)?.permitted & DEFAULT;
        let sets = CapabilitySets { effective: own, permitted: own, inheritable: CapabilitySet::empty() };
        rustix::thread::set_capabilities(None, sets)
    }
}
