#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| voxhall_fuzz::fuzz_rtcp(data));
