//! The privileges of a step: docker's default capabilities and its seccomp profile.

use super::spec::{Privileges, RawSockets};
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

/// The capabilities of a step that is not `--security=insecure`.
fn of_step(raw: RawSockets) -> CapabilitySet {
    match raw {
        RawSockets::Allowed => DEFAULT,
        RawSockets::Refused => DEFAULT.difference(CapabilitySet::NET_RAW),
    }
}

/// The names, as in OCI documents, of a step's capabilities or of all capabilities that this process can pass on.
pub(super) fn names(privileges: Privileges, raw: RawSockets) -> Vec<String> {
    let given = |set: &CapabilitySet| rustix::thread::capability_is_in_bounding_set(*set).unwrap_or(false);
    let wanted: Vec<_> = match privileges {
        Privileges::Docker => of_step(raw).iter_names().collect(),
        Privileges::Insecure => CapabilitySet::all().iter_names().filter(|(_, set)| given(set)).collect(),
    };
    wanted.into_iter().map(|(name, _)| format!("CAP_{name}")).collect()
}

/// The limits of every step that is not `--security=insecure`, prepared once.
pub(super) struct Restrictions {
    filter: Vec<sys::BpfInstruction>,
    /// The filter of a step without raw sockets.
    filter_without_raw: Vec<sys::BpfInstruction>,
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
        Self {
            filter: seccomp::docker_default(RawSockets::Allowed),
            filter_without_raw: seccomp::docker_default(RawSockets::Refused),
            unwanted: unwanted.collect(),
        }
    }

    /// Limits the bounding set, and so the result of an exec, to the default set, for this process and its children. This process
    /// keeps the capabilities that it holds.
    pub(super) fn bound(&self) -> Result<(), Errno> {
        self.unwanted.iter().try_for_each(|&gone| rustix::thread::remove_capability_from_bounding_set(gone))
    }

    /// Loads the filter and drops all other capabilities; call it after [`Self::bound`]. `no_new_privs` stays off as under docker,
    /// so setuid programs such as sudo work within the bounding set.
    pub(super) fn drop(&self, raw: RawSockets) -> Result<(), Errno> {
        let filter = match raw {
            RawSockets::Allowed => &self.filter,
            RawSockets::Refused => {
                rustix::thread::remove_capability_from_bounding_set(CapabilitySet::NET_RAW)?;
                &self.filter_without_raw
            }
        };
        // Loading a filter needs CAP_SYS_ADMIN, so the filter comes first.
        sys::seccomp(filter)?;
        // The inheritable set stays empty (CVE-2022-24769). An exec cannot regain capabilities outside of the bounding set.
        let own = rustix::thread::capabilities(None)?.permitted & of_step(raw);
        let sets = CapabilitySets { effective: own, permitted: own, inheritable: CapabilitySet::empty() };
        rustix::thread::set_capabilities(None, sets)
    }
}
