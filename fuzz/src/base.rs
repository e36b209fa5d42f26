//! Programs of base images.

pub(crate) fn elf(bytes: &[u8]) {
    buildscope_builder::fuzzing::elf(bytes);
}
