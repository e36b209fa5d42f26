//! From a specification to an order for the helper, with its descriptors.

use super::error::SandboxError;
use super::order::{MountOrder, Order, SourceOrder};
use super::rlimits;
use super::spec::{MountSource, NetworkMode, StepSpec, hosts};
use super::wire::Bytes;
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

/// The order that a specification amounts to, and the descriptors that go with it.
pub(super) fn order(
    spec: StepSpec,
    [stdout, stderr]: [OwnedFd; 2],
    join: Vec<OwnedFd>,
) -> Result<(Order, Vec<OwnedFd>), SandboxError> {
    check_ids(&spec)?;
    let mut fds = Vec::new();
    let mut give = |fd: OwnedFd| {
        fds.push(fd);
        fds.len() as u32 - 1
    };
    let stdin =
        spec.stdin.map(|content| memory_file(&content)).transpose().map_err(SandboxError::errno("standard input"))?;
    let mut mounts = Vec::new();
    for path in spec.devices {
        let node = super::detached(&path).map_err(|error| SandboxError::Setup {
            what: format!("the device {}", path.display()),
            errno: Errno::from_io_error(&error).unwrap_or(Errno::IO),
        })?;
        let source = SourceOrder::Device { mount: give(node) };
        mounts.push(MountOrder { target: path.as_os_str().as_bytes().into(), source });
    }
    mounts.extend(spec.mounts.into_iter().map(|mount| MountOrder {
        target: mount.target.as_os_str().as_bytes().into(),
        source: match mount.source {
            MountSource::Detached { mount, readonly } => SourceOrder::Detached { mount: give(mount), readonly },
            MountSource::Tmpfs { size } => SourceOrder::Tmpfs { size },
            MountSource::Secret { content, mode, uid, gid } => {
                SourceOrder::Secret { content: Bytes(content), mode, uid, gid }
            }
        },
    }));
    let order = Order {
        args: spec.args.iter().map(Bytes::from).collect(),
        env: spec.env.iter().map(Bytes::from).collect(),
        workdir: spec.workdir.as_os_str().as_bytes().into(),
        uid: spec.user.uid,
        gid: spec.user.gid,
        groups: spec.user.groups,
        hostname: spec.hostname.into(),
        hosts: (!spec.extra_hosts.is_empty()).then(|| hosts(&spec.extra_hosts).into()),
        resolv_conf: None,
        mounts,
        own_network: spec.network != NetworkMode::Host,
        namespace: None,
        insecure: spec.insecure,
        shm_size: spec.limits.shm_size.unwrap_or(SHM_SIZE),
        rlimits: rlimits::numbered(&spec.limits)?,
        join: join.into_iter().map(&mut give).collect(),
        must_join: spec.limits.memory.is_some() || spec.limits.cpus.is_some(),
        stdin: stdin.map(&mut give),
        stdout: give(stdout),
        stderr: give(stderr),
        rootfs: give(spec.rootfs),
        runtime: None,
    };
    Ok((order, fds))
}

/// Refuses [`UNCHANGED`] as anybody's id, for every executor: a step that asked for that user would run as root.
fn check_ids(spec: &StepSpec) -> Result<(), SandboxError> {
    let of_mounts = spec.mounts.iter().flat_map(|mount| match &mount.source {
        MountSource::Secret { uid, gid, .. } => vec![*uid, *gid],
        MountSource::Detached { .. } | MountSource::Tmpfs { .. } => Vec::new(),
    });
    let of_user = [spec.user.uid, spec.user.gid].into_iter().chain(spec.user.groups.iter().copied());
    match of_user.chain(of_mounts).find(|id| *id == UNCHANGED) {
        Some(id) => Err(SandboxError::Setup { what: format!("a user or group with the id {id}"), errno: Errno::INVAL }),
        None => Ok(()),
    }
}

/// What setresuid(2), setresgid(2) and chown(2) take for "leave the id as it is".
pub(super) const UNCHANGED: u32 = u32::MAX;

/// docker's `--shm-size`.
pub(super) const SHM_SIZE: u64 = 64 << 20;

/// A file without a name that holds these bytes, at its beginning.
pub(super) fn memory_file(content: &[u8]) -> Result<OwnedFd, Errno> {
    let file = rustix::fs::memfd_create("stdin", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut rest = content;
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(&file, rest)?..];
    }
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file)
}
