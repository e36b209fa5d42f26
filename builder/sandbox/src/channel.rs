//! Datagrams with file descriptors between processes: `SOCK_SEQPACKET` pairs and `SCM_RIGHTS`.

use super::sys;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;

/// Bytes in one datagram: well below the kernel's default send buffer (net.core.wmem_default, 208 KiB).
const CHUNK: usize = 64 * 1024;
/// Bytes of a datagram outside of a long message. A small buffer saves zeroing a page per step.
pub(super) const SMALL: usize = 64;
/// Bytes of a report. Only its list of new mountpoints can be long, and their paths come from the message to the init.
pub(super) const REPORT: usize = 16 * 1024;
/// Descriptors in one datagram: the kernel's SCM_MAX_FD is 253.
const FDS: usize = 128;

/// Bytes and the descriptors that came with them.
type Message = (Vec<u8>, Vec<OwnedFd>);

/// Makes a connected pair of sockets. Both ends close on exec.
pub(super) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Sends one datagram. If the peer is gone the error is `EPIPE`; there is no signal.
pub(super) fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::TOOBIG);
    }
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)
    })?;
    Ok(())
}

/// Receives one datagram of at most `room` bytes and appends it. Returns false if the peer is gone.
pub(super) fn receive(
    socket: impl AsFd,
    room: usize,
    bytes: &mut Vec<u8>,
    fds: &mut Vec<OwnedFd>,
) -> Result<bool, Errno> {
    // The allocator zeroes this buffer as a whole; growing `bytes` would zero it byte by byte.
    let mut part = vec![0; room];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        let mut iov = [IoSliceMut::new(&mut part)];
        rustix::net::recvmsg(&socket, &mut iov, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(Errno::MSGSIZE);
    }
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    bytes.extend_from_slice(&part[..received.bytes]);
    Ok(received.bytes > 0)
}

/// Splits a message of any length into datagrams.
fn parts<'a, 'fd>(
    bytes: &'a [u8],
    fds: &'a [BorrowedFd<'fd>],
) -> impl Iterator<Item = (&'a [u8], &'a [BorrowedFd<'fd>])> {
    let count = bytes.len().div_ceil(CHUNK).max(fds.len().div_ceil(FDS));
    (0..count).map(move |i| {
        let part = &bytes[(i * CHUNK).min(bytes.len())..((i + 1) * CHUNK).min(bytes.len())];
        let rights = &fds[(i * FDS).min(fds.len())..((i + 1) * FDS).min(fds.len())];
        (part, rights)
    })
}

/// Receives a message of any length that [`AsyncChannel::send_long`] sent. Returns `None` if the peer is gone.
pub(super) fn receive_long(socket: impl AsFd) -> Result<Option<Message>, Errno> {
    let (mut bytes, mut fds) = (Vec::new(), Vec::new());
    if !receive(&socket, SMALL, &mut bytes, &mut fds)? {
        return Ok(None);
    }
    let header: [u8; 8] = bytes[..].try_into().map_err(|_| Errno::BADMSG)?;
    let length = u64::from_le_bytes(header) as usize;
    bytes.clear();
    while bytes.len() < length {
        if !receive(&socket, CHUNK.min(length - bytes.len()), &mut bytes, &mut fds)? {
            return Ok(None);
        }
    }
    Ok(Some((bytes, fds)))
}

/// The builder's end of a pair, inside the tokio runtime.
pub(super) struct AsyncChannel(AsyncFd<OwnedFd>);

impl AsyncChannel {
    pub(super) fn new(socket: OwnedFd) -> std::io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self(sys::watched(socket)?))
    }

    /// Sends a message of any length. It must have more chunks of bytes than of descriptors.
    pub(super) async fn send_long(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> std::io::Result<()> {
        debug_assert!(!bytes.is_empty() && fds.len() <= bytes.len().div_ceil(CHUNK) * FDS);
        self.send(&(bytes.len() as u64).to_le_bytes(), &[]).await?;
        for (part, rights) in parts(bytes, fds) {
            self.send(part, rights).await?;
        }
        Ok(())
    }

    async fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> std::io::Result<()> {
        loop {
            // Sends before it waits: the buffer of a new socket is empty.
            match send(self.0.get_ref(), bytes, fds) {
                Err(Errno::AGAIN) => self.0.writable().await?.clear_ready(),
                other => return Ok(other?),
            }
        }
    }

    /// Receives the next datagram and its descriptors. Returns `None` if the peer is gone.
    pub(super) async fn receive(&self) -> std::io::Result<Option<Message>> {
        loop {
            let mut ready = self.0.readable().await?;
            let (mut bytes, mut fds) = (Vec::new(), Vec::new());
            match receive(self.0.get_ref(), REPORT, &mut bytes, &mut fds) {
                Ok(more) => return Ok(more.then_some((bytes, fds))),
                Err(Errno::AGAIN) => ready.clear_ready(),
                // The peer has ended with unread data in its buffer. The kernel says so once; then comes what the peer sent before.
                Err(Errno::CONNRESET) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Blocks this thread until the first descriptor arrives or `limit` has passed, for callers that can no longer await.
    pub(super) fn wait_for_fd(&self, limit: Duration) -> Option<OwnedFd> {
        let start = Instant::now();
        loop {
            let (mut bytes, mut fds) = (Vec::new(), Vec::new());
            match receive(self.0.get_ref(), REPORT, &mut bytes, &mut fds) {
                Ok(true) if fds.is_empty() => {}
                Ok(_) => return fds.pop(),
                Err(Errno::AGAIN) => {
                    let left = rustix::time::Timespec::try_from(limit.checked_sub(start.elapsed())?).ok()?;
                    let mut poll = [PollFd::new(self.0.get_ref(), PollFlags::IN)];
                    rustix::event::poll(&mut poll, Some(&left)).ok()?;
                }
                Err(_) => return None,
            }
        }
    }
}
