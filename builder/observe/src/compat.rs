//! System calls of 32-bit programs (i386), which have numbers of their own.

/// Whether a thread runs a 32-bit program: its stack is in the lowest 4 GiB. A 64-bit program has its stack at the end of a much larger
/// space.
pub(crate) fn is_compat(stack_pointer: u64) -> bool {
    cfg!(target_arch = "x86_64") && stack_pointer != 0 && stack_pointer <= u64::from(u32::MAX)
}

/// The number of `socketcall`. Its second argument points to the arguments of a socket call, of which the descriptor is the first.
pub(crate) const SOCKETCALL: i64 = 102;

/// The 64-bit number of a 32-bit call that may wait (linux/arch/x86/entry/syscalls/syscall_32.tbl); `None` for the others.
#[cfg(target_arch = "x86_64")]
pub(crate) fn native(number: i64) -> Option<i64> {
    Some(match number {
        2 | 120 => libc::SYS_clone,
        3 => libc::SYS_read,
        4 => libc::SYS_write,
        5 => libc::SYS_open,
        7 | 114 => libc::SYS_wait4,
        36 => libc::SYS_sync,
        54 => libc::SYS_ioctl,
        55 | 221 => libc::SYS_fcntl,
        82 | 142 => libc::SYS_select,
        118 => libc::SYS_fsync,
        143 => libc::SYS_flock,
        145 => libc::SYS_readv,
        146 => libc::SYS_writev,
        148 => libc::SYS_fdatasync,
        162 => libc::SYS_nanosleep,
        168 => libc::SYS_poll,
        177 | 421 => libc::SYS_rt_sigtimedwait,
        179 => libc::SYS_rt_sigsuspend,
        180 => libc::SYS_pread64,
        181 => libc::SYS_pwrite64,
        187 | 239 => libc::SYS_sendfile,
        190 => libc::SYS_vfork,
        240 | 422 => libc::SYS_futex,
        256 => libc::SYS_epoll_wait,
        267 | 407 => libc::SYS_clock_nanosleep,
        284 => libc::SYS_waitid,
        295 => libc::SYS_openat,
        308 | 413 => libc::SYS_pselect6,
        309 | 414 => libc::SYS_ppoll,
        313 => libc::SYS_splice,
        314 => libc::SYS_sync_file_range,
        319 => libc::SYS_epoll_pwait,
        337 | 417 => libc::SYS_recvmmsg,
        344 => libc::SYS_syncfs,
        362 => libc::SYS_connect,
        364 => libc::SYS_accept4,
        369 => libc::SYS_sendto,
        370 => libc::SYS_sendmsg,
        371 => libc::SYS_recvfrom,
        372 => libc::SYS_recvmsg,
        377 => libc::SYS_copy_file_range,
        393 => libc::SYS_semop,
        401 => libc::SYS_msgrcv,
        420 => libc::SYS_semtimedop,
        426 => libc::SYS_io_uring_enter,
        435 => libc::SYS_clone3,
        441 => libc::SYS_epoll_pwait2,
        449 => libc::SYS_futex_waitv,
        _ => return None,
    })
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn native(_: i64) -> Option<i64> {
    None
}
