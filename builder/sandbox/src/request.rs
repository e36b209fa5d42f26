//! Turns a step's specification into the message for its init and the descriptors of that message.

use super::error::SandboxError;
use super::message::{InitMessage, MountMessage, NetworkMessage, SourceMessage};
use super::spec::{MountSource, SHM_SIZE, StepNetwork, StepSpec, hosts};
use super::sys::UNCHANGED;
use super::wire::Bytes;
use super::{filesystem, rlimits};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

/// Makes the message for a step's init and its descriptors.
///
/// # Errors
/// Fails for an invalid user, group or resource limit, for a device that cannot be opened, or if standard input cannot be
/// prepared.
pub(super) fn message(
    spec: StepSpec,
    [stdout, stderr]: [OwnedFd; 2],
    join: Vec<OwnedFd>,
) -> Result<(InitMessage, Vec<OwnedFd>), SandboxError> {
    check_ids(&spec)?;
    let mut fds = Vec::new();
    let mut give = |fd: OwnedFd| {
        fds.push(fd);
        fds.len() as u32 - 1
    };
    let stdin = spec
        .stdin
        .map(|content| memory_file(&content))
        .transpose()
        .map_err(SandboxError::errno("preparing standard input"))?;
    let mut mounts = Vec::new();
    for path in spec.devices {
        let node = filesystem::detached(&path).map_err(|error| SandboxError::Setup {
            what: format!("opening the device {}", path.display()),
            errno: Errno::from_io_error(&error).unwrap_or(Errno::IO),
        })?;
        let source = SourceMessage::Device { mount: give(node) };
        mounts.push(MountMessage { target: path.as_os_str().as_bytes().into(), source });
    }
    mounts.extend(spec.mounts.into_iter().map(|mount| MountMessage {
        target: mount.target.as_os_str().as_bytes().into(),
        source: match mount.source {
            MountSource::Detached { mount, readonly } => SourceMessage::Detached { mount: give(mount), readonly },
            MountSource::Tmpfs { size } => SourceMessage::Tmpfs { size },
            MountSource::Secret { content, mode, uid, gid } => {
                SourceMessage::Secret { content: Bytes(content), mode, uid, gid }
            }
        },
    }));
    let (network, resolv_conf) = match &spec.network {
        StepNetwork::Host => (NetworkMessage::Host, None),
        StepNetwork::HostWithoutRawSockets => (NetworkMessage::HostWithoutRawSockets, None),
        StepNetwork::None => (NetworkMessage::Loopback, None),
        StepNetwork::Isolated(network) => {
            let namespace = network.namespace().map_err(SandboxError::io("passing on the step's network"))?;
            (NetworkMessage::Enter(give(namespace)), Some(network.resolv_conf().into()))
        }
    };
    let message = InitMessage {
        args: spec.args.iter().map(Bytes::from).collect(),
        env: spec.env.iter().map(Bytes::from).collect(),
        workdir: spec.workdir.as_os_str().as_bytes().into(),
        uid: spec.user.uid,
        gid: spec.user.gid,
        groups: spec.user.groups,
        hostname: spec.hostname.into(),
        hosts: (!spec.extra_hosts.is_empty()).then(|| hosts(&spec.extra_hosts).into()),
        resolv_conf,
        mounts,
        network,
        privileges: spec.privileges,
        shm_size: spec.limits.shm_size.unwrap_or(SHM_SIZE),
        rlimits: rlimits::numbered(&spec.limits)?,
        join: join.into_iter().map(&mut give).collect(),
        must_join: spec.limits.need_cgroup(),
        stdin: stdin.map(&mut give),
        stdout: give(stdout),
        stderr: give(stderr),
        rootfs: give(spec.rootfs),
        runtime: None,
    };
    Ok((message, fds))
}

/// Rejects [`UNCHANGED`] as an id, for every executor: a step of that user would run as root.
fn check_ids(spec: &StepSpec) -> Result<(), SandboxError> {
    let of_mounts = spec.mounts.iter().flat_map(|mount| match &mount.source {
        MountSource::Secret { uid, gid, .. } => vec![*uid, *gid],
        MountSource::Detached { .. } | MountSource::Tmpfs { .. } => Vec::new(),
    });
    let of_user = [spec.user.uid, spec.user.gid].into_iter().chain(spec.user.groups.iter().copied());
    match of_user.chain(of_mounts).find(|id| *id == UNCHANGED) {
        Some(id) => Err(SandboxError::Setup { what: format!("invalid user or group id {id}"), errno: Errno::INVAL }),
        None => Ok(()),
    }
}

/// Makes an unnamed file in memory with these bytes, positioned at its start.
pub(super) fn memory_file(content: &[u8]) -> Result<OwnedFd, Errno> {
    let file = rustix::fs::memfd_create("stdin", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut rest = content;
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(&file, rest)?..];
    }
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file)
}
