#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| voxhall_voice_fuzz::fuzz_sealed(data));
