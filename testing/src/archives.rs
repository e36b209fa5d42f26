//! Archives that are valid and harmless, but odd.

/// A GNU archive of one sparse file of 512 bytes, and a hole up to 1 PiB.
///
/// # Panics
/// Never: all values fit into the header.
pub fn sparse_petabyte() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_path("sparse").unwrap();
    header.set_mode(0o644);
    header.set_size(512);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.sparse[0].set_offset(0);
    gnu.sparse[0].set_length(512);
    gnu.sparse[1].set_offset(1 << 50);
    gnu.sparse[1].set_length(0);
    gnu.set_real_size(1 << 50);
    header.set_cksum();
    [header.as_bytes(), &[0; 512][..], &[0; 1024]].concat()
}
