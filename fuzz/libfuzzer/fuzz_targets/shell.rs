#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (buildscope_fuzz::named("shell").unwrap().run)(bytes));
