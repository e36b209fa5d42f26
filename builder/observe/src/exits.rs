//! The kernel's account of each thread at its end (linux/Documentation/accounting/taskstats.rst).
//!
//! It arrives over netlink, also for threads that end before a sample can be taken. The kernel gives it only to root of the initial
//! namespaces. A message is about one thread. The exit code of a process is that of its first thread.

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::netlink::{GENERIC, SocketAddrNetlink};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with};
use std::io;

/// The resources that a thread used until its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) tid: i32,
    /// The status as wait(2) returns it.
    pub(crate) status: i32,
    /// The time in user mode by the ticks of the clock, in nanoseconds.
    pub(crate) user: u64,
    pub(crate) system: u64,
    /// The time on a processor up to the last tick of the clock or context switch, in nanoseconds.
    pub(crate) cpu: u64,
    /// The number of times that it waited for something.
    pub(crate) waits: u64,
    /// The exact time waiting for a processor, in nanoseconds.
    pub(crate) delayed: u64,
    pub(crate) read: u64,
    pub(crate) written: u64,
    /// The peak of the whole process so far, in bytes.
    pub(crate) peak_memory: u64,
}

/// A socket that receives the accounts.
#[derive(Debug)]
pub(crate) struct Exits {
    socket: OwnedFd,
    lost: bool,
}

/// linux/genetlink.h and linux/taskstats.h
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const TASKSTATS_CMD_GET: u8 = 1;
const TASKSTATS_CMD_ATTR_REGISTER_CPUMASK: u16 = 3;
const TASKSTATS_TYPE_STATS: u16 = 3;
const TASKSTATS_TYPE_AGGR_PID: u16 = 4;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
/// The headers of netlink and of generic netlink.
const HEADERS: usize = 16 + 4;

/// The size of the receive buffer: some thousands of messages, more than threads end between two readings.
const BUFFER: usize = 4 << 20;
/// The longest message, in bytes (struct taskstats has 500 bytes in Linux 6.18).
const MESSAGE: usize = 4096;

impl Exits {
    /// Asks the kernel for the accounts of all threads of the machine that end from now on.
    pub(crate) fn open() -> io::Result<Self> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(GENERIC))?;
        bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        set_socket_recv_buffer_size_force(&socket, BUFFER)?;
        let family = request(&socket, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, (CTRL_ATTR_FAMILY_NAME, b"TASKSTATS\0"))?;
        let family = attribute(&family, CTRL_ATTR_FAMILY_ID).and_then(|id| id.first_chunk());
        let family = u16::from_ne_bytes(*family.ok_or(io::ErrorKind::Unsupported)?);
        let cpus = std::fs::read_to_string("/sys/devices/system/cpu/online")?;
        let cpus = [cpus.trim().as_bytes(), b"\0"].concat();
        request(&socket, family, TASKSTATS_CMD_GET, (TASKSTATS_CMD_ATTR_REGISTER_CPUMASK, &cpus))?;
        Ok(Self { socket, lost: false })
    }

    /// The accounts that have arrived.
    pub(crate) fn read(&mut self) -> impl Iterator<Item = Exit> {
        let mut message = [0; MESSAGE];
        std::iter::from_fn(move || {
            loop {
                match recv(&self.socket, &mut message[..], RecvFlags::DONTWAIT) {
                    Ok((length, _)) => {
                        if let Some(exit) = parse(&message[..length.min(MESSAGE)]) {
                            return Some(exit);
                        }
                    }
                    Err(Errno::INTR) => {}
                    // Messages were dropped; later ones still arrive.
                    Err(Errno::NOBUFS) => self.lost = true,
                    Err(_) => return None,
                }
            }
        })
    }

    /// Whether the kernel dropped messages because they were not read in time.
    pub(crate) fn lost(&self) -> bool {
        self.lost
    }
}

/// Sends a request with one attribute, and returns the attributes of the answer, which are empty for an acknowledgement.
fn request(socket: &OwnedFd, family: u16, command: u8, (kind, value): (u16, &[u8])) -> io::Result<Vec<u8>> {
    let length = (4 + value.len()) as u16;
    let mut body = vec![command, 1, 0, 0];
    body.extend([length.to_ne_bytes(), kind.to_ne_bytes()].concat());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
    let flags = if command == TASKSTATS_CMD_GET && family != GENL_ID_CTRL { NLM_F_ACK } else { 0 };
    let mut message = ((16 + body.len()) as u32).to_ne_bytes().to_vec();
    message.extend([family.to_ne_bytes(), (NLM_F_REQUEST | flags).to_ne_bytes()].concat());
    // The sequence number and the port, which the kernel fills in.
    message.extend([0; 8]);
    message.extend(body);
    sendto(socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; MESSAGE];
    let (length, _) = recv(socket, &mut answer[..], RecvFlags::empty())?;
    let answer = &answer[..length.min(MESSAGE)];
    let kind = answer.get(4..6).map(|kind| u16::from_ne_bytes([kind[0], kind[1]]));
    if kind == Some(NLMSG_ERROR) {
        let error = answer.get(16..20).and_then(|code| code.first_chunk()).map_or(0, |code| i32::from_ne_bytes(*code));
        return if error == 0 { Ok(Vec::new()) } else { Err(io::Error::from_raw_os_error(-error)) };
    }
    Ok(answer.get(HEADERS..).unwrap_or_default().to_vec())
}

/// The value of an attribute.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let &[a, b, c, d, ref rest @ ..] = attributes {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = rest.get(..length.checked_sub(4)?)?;
        // The two highest bits are flags.
        if u16::from_ne_bytes([c, d]) & 0x3fff == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// The account in a message; `None` for messages of another kind, such as the sums of a process with threads.
fn parse(message: &[u8]) -> Option<Exit> {
    let stats = attribute(attribute(message.get(HEADERS..)?, TASKSTATS_TYPE_AGGR_PID)?, TASKSTATS_TYPE_STATS)?;
    let u32_at = |at: usize| Some(u32::from_ne_bytes(*stats.get(at..)?.first_chunk()?));
    let u64_at = |at: usize| Some(u64::from_ne_bytes(*stats.get(at..)?.first_chunk()?));
    // The offsets of struct taskstats, to which fields are only ever appended.
    Some(Exit {
        status: u32_at(4)? as i32,
        delayed: u64_at(24)?,
        cpu: u64_at(72)?,
        tid: u32_at(128)? as i32,
        user: u64_at(152)?.saturating_mul(1000),
        system: u64_at(160)?.saturating_mul(1000),
        peak_memory: u64_at(200)?.saturating_mul(1024),
        read: u64_at(216)?,
        written: u64_at(224)?,
        waits: u64_at(272)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_to_four_bytes() {
        let one = [&6u16.to_ne_bytes()[..], &1u16.to_ne_bytes(), b"ab\0\0"].concat();
        let two = [&8u16.to_ne_bytes()[..], &0x8002u16.to_ne_bytes(), b"cdef"].concat();
        let both = [one, two].concat();
        assert_eq!(attribute(&both, 1), Some(&b"ab"[..]));
        assert_eq!(attribute(&both, 2), Some(&b"cdef"[..]));
        assert_eq!(attribute(&both, 3), None);
        assert_eq!(attribute(&[3, 0, 1, 0], 1), None, "a length that is too short ends the list");
        assert_eq!(attribute(&[0, 0, 1, 0], 1), None);
    }

    #[test]
    fn a_message_that_is_too_short_is_left_out() {
        assert_eq!(parse(&[0; 10]), None);
        assert_eq!(parse(&[0; 60]), None);
    }

    #[test]
    #[ignore = "needs root of the initial namespaces"]
    fn a_process_has_its_exit_status_bytes_and_memory() {
        let mut exits = Exits::open().expect("the kernel answers root");
        let script = "head -c 3000000 /dev/zero | tail -c 3 > /dev/null; exit 7";
        let mut child = std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
        let pid = child.id() as i32;
        child.wait().unwrap();
        let seen: Vec<_> = exits.read().collect();
        let shell = seen.iter().find(|exit| exit.tid == pid).expect("the shell's account");
        assert_eq!(shell.status, 7 << 8);
        assert!(shell.peak_memory > 100_000 && shell.cpu > 0, "{shell:?}");
        // The kernel rounds down to KiB.
        let head = seen.iter().find(|exit| exit.read >= 3_000_000 && exit.written >= 2_999_000);
        assert!(head.is_some_and(|head| head.status == 0), "{seen:?}");
    }
}
