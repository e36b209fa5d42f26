//! What a step may do: docker's default capabilities and its seccomp profile.

use super::{seccomp, sys};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

/// docker's default set (moby's `daemon/pkg/oci/caps/defaults.go`): fourteen.
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

/// The default set by name, or all that this process could give, as OCI documents have it.
pub(super) fn names(insecure: bool) -> Vec<String> {
    let given = |set: &CapabilitySet| rustix::thread::capability_is_in_bounding_set(*set).unwrap_or(false);
    let all = if insecure { CapabilitySet::all() } else { DEFAULT };
    let wanted = all.iter_names().filter(|(_, set)| !insecure || given(set));
    wanted.map(|(name, _)| format!("CAP_{name}")).collect()
}

/// The limits of every step that is not `--security=insecure`, made ready once.
pub(super) struct Privileges {
    filter: Vec<sys::BpfInstruction>,
    /// What of the bounding set has to go.
    unwanted: Vec<CapabilitySet>,
}

impl Privileges {
    pub(super) fn prepare() -> Self {
        let unwanted =
            CapabilitySet::all().iter().filter(|&capability| !DEFAULT.contains(capability)).filter(|&capability| {
                // A capability that this kernel does not know is an error, and none to drop.
                rustix::thread::capability_is_in_bounding_set(capability).unwrap_or(false)
            });
        Self { filter: seccomp::docker_default(), unwanted: unwanted.collect() }
    }

    /// Makes the default set all that an exec can give, for this process and what it starts. What this process holds,
    /// it goes on holding.
    pub(super) fn bound(&self) -> Result<(), Errno> {
        self.unwanted.iter().try_for_each(|&gone| rustix::thread::remove_capability_from_bounding_set(gone))
    }

    /// Gives up everything else, after [`Self::bound`]. `no_new_privs` stays off as under docker: setuid programs such
    /// as sudo work inside the bounding set.
    pub(super) fn drop(&self) -> Result<(), Errno> {
        // Loading a filter takes CAP_SYS_ADMIN: first the filter, then the capabilities.
        sys::seccomp(&self.filter)?;
        // Inheritable stays empty (CVE-2022-24769). What the bounding set lacks cannot come back by exec.
        let own = rustix::thread::capabilities(None)?.permitted & DEFAULT;
        let sets = CapabilitySets { effective: own, permitted: own, inheritable: CapabilitySet::empty() };
        rustix::thread::set_capabilities(None, sets)
    }
}
