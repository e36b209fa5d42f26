//! The numbers of the system calls that docker's profile allows, by architecture.
//!
//! The numbers come from the kernel's tables (`asm/unistd_64.h`, `asm/unistd_32.h`, `asm-generic/unistd.h`, `asm/unistd-eabi.h`)
//! and the names from the profile, without the calls that need a capability that steps do not have. Numbers from 424 on are the
//! same on all architectures. `io_uring` is refused, as in docker since version 25.

use std::ops::RangeInclusive;

/// One system call convention.
pub(super) struct Abi {
    /// `AUDIT_ARCH_*` of linux/audit.h.
    pub(super) audit_arch: u32,
    /// The numbers that are allowed with any arguments.
    pub(super) allowed: &'static [RangeInclusive<u32>],
    /// The last number that the profile knows (`removexattrat`). Higher numbers give ENOSYS.
    pub(super) newest: u32,
    /// The allowed architecture-specific numbers, which are far above `newest`.
    pub(super) private: &'static [RangeInclusive<u32>],
    pub(super) socket: u32,
    pub(super) personality: u32,
    pub(super) clone: u32,
    pub(super) clone3: u32,
}

/// The conventions that programs on this machine may use: the native one and the 32-bit one, as in docker's profile for x86-64.
/// Calls of x32 (bit 30 of the number) are above the newest number and give ENOSYS.
#[cfg(target_arch = "x86_64")]
pub(super) const NATIVE: &[Abi] = &[X86_64, X86];
/// The conventions that programs on this machine may use: the native one and that of 32-bit ARM (EABI).
#[cfg(target_arch = "aarch64")]
pub(super) const NATIVE: &[Abi] = &[AARCH64, ARM];

#[cfg(any(target_arch = "x86_64", test))]
pub(super) const X86_64: Abi = Abi {
    audit_arch: 0xc000_003e,
    #[rustfmt::skip]
    allowed: &[
        0..=40, 42..=55, 57..=102, 104..=133, 137..=138, 140..=152, 154..=154, 157..=162, 186..=211,
        213..=226, 228..=235, 240..=245, 247..=247, 251..=255, 257..=271, 273..=278, 280..=297,
        299..=299, 301..=303, 305..=307, 309..=311, 314..=319, 322..=322, 324..=335, 424..=424,
        434..=434, 436..=437, 439..=439, 441..=441, 444..=449, 451..=458, 462..=466,
    ],
    newest: 466,
    private: &[],
    socket: 41,
    personality: 135,
    clone: 56,
    clone3: 435,
};

#[cfg(any(target_arch = "x86_64", test))]
pub(super) const X86: Abi = Abi {
    audit_arch: 0x4000_0003,
    #[rustfmt::skip]
    allowed: &[
        0..=16, 19..=20, 23..=24, 26..=27, 29..=30, 33..=33, 36..=43, 45..=47, 49..=50, 54..=55,
        57..=57, 60..=61, 63..=66, 70..=71, 75..=78, 80..=83, 85..=85, 90..=97, 99..=100, 102..=102,
        104..=108, 114..=114, 116..=119, 122..=126, 132..=133, 138..=148, 150..=165, 168..=168,
        170..=187, 190..=216, 218..=221, 224..=250, 252..=252, 254..=263, 265..=272, 277..=282,
        284..=284, 289..=293, 295..=309, 311..=316, 318..=335, 337..=337, 339..=341, 343..=345,
        347..=348, 351..=356, 358..=358, 360..=373, 375..=386, 393..=403, 405..=414, 416..=424,
        434..=434, 436..=437, 439..=439, 441..=441, 444..=449, 451..=458, 462..=466,
    ],
    newest: 466,
    private: &[],
    socket: 359,
    personality: 136,
    clone: 120,
    clone3: 435,
};

#[cfg(any(target_arch = "aarch64", test))]
pub(super) const AARCH64: Abi = Abi {
    audit_arch: 0xc000_00b7,
    #[rustfmt::skip]
    allowed: &[
        0..=17, 19..=38, 43..=57, 59..=59, 61..=88, 90..=91, 93..=96, 98..=103, 107..=111,
        113..=115, 117..=141, 143..=160, 163..=169, 171..=197, 199..=216, 221..=223, 226..=234,
        240..=240, 242..=243, 260..=261, 263..=264, 266..=267, 269..=271, 274..=279, 281..=281,
        283..=293, 424..=424, 434..=434, 436..=437, 439..=439, 441..=441, 444..=449, 451..=458,
        462..=466,
    ],
    newest: 466,
    private: &[],
    socket: 198,
    personality: 92,
    clone: 220,
    clone3: 435,
};

/// ARM has the calls of x86's 32-bit table, and single calls instead of `socketcall` and `ipc`. The private numbers are
/// `breakpoint`, `cacheflush` and `set_tls` (arch/arm/include/uapi/asm/unistd.h), which every program needs.
#[cfg(any(target_arch = "aarch64", test))]
pub(super) const ARM: Abi = Abi {
    audit_arch: 0x4000_0028,
    #[rustfmt::skip]
    allowed: &[
        0..=6, 8..=12, 14..=16, 19..=20, 23..=24, 26..=26, 29..=29, 33..=33, 36..=43, 45..=47, 49..=50,
        54..=55, 57..=57, 60..=61, 63..=66, 70..=71, 75..=75, 77..=78, 80..=81, 83..=83, 85..=85, 91..=97,
        99..=100, 104..=108, 114..=114, 116..=116, 118..=119, 122..=122, 124..=126, 132..=133, 138..=148,
        150..=165, 168..=168, 170..=187, 190..=217, 219..=221, 224..=248, 250..=253, 256..=261, 263..=270,
        274..=280, 282..=308, 312..=312, 314..=318, 322..=336, 338..=343, 345..=346, 348..=363, 365..=366,
        368..=370, 372..=374, 376..=377, 380..=385, 387..=387, 389..=399, 403..=403, 405..=414, 416..=424,
        434..=434, 436..=437, 439..=439, 441..=441, 444..=449, 451..=458, 462..=466,
    ],
    newest: 466,
    private: &[0xf_0001..=0xf_0002, 0xf_0005..=0xf_0005],
    socket: 281,
    personality: 136,
    clone: 120,
    clone3: 435,
};
