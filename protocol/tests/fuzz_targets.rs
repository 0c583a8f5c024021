//! The fuzz targets' functions on random bytes, and on bytes that look like what they parse.

use proptest::prelude::*;

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code)]
mod targets;

/// Beginnings that get past the first checks.
const STARTS: &[&[u8]] = &[
    b"",
    &[0x80, 111, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4],
    &[0x90, 111, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4, 0xbe, 0xde, 0, 2],
    &[0x81, 201, 0, 7, 0, 0, 0, 1],
    &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42],
    &[0, 1, 0, 6, 0, 16],
    &[4, 0, 5],
    br#"{"jsonrpc":"2.0","id":1,"method":""#,
    b"voxhall://host:9000/",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_target_survives(start in prop::sample::select(STARTS), rest in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [start, &rest].concat();
        for (name, target) in targets::TARGETS {
            let result = std::panic::catch_unwind(|| target(&bytes));
            prop_assert!(result.is_ok(), "target {} on {:02x?}", name, bytes);
        }
    }

    #[test]
    fn text_targets_survive_text(start in prop::sample::select(vec!["voxhall://", "voxhall://[", "{\"jsonrpc\":\"2.0\",", ""]), rest in "\\PC{0,80}") {
        let text = format!("{start}{rest}");
        targets::fuzz_control(text.as_bytes());
        targets::fuzz_link(text.as_bytes());
    }
}
