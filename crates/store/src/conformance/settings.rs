//! Settings.

use super::*;

pub async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    settings_are_written_once(&fresh()).await;
}

async fn settings_are_written_once<S: Store>(store: &S) {
    assert_eq!(store.setting_or_insert("k", vec![1]).await, Ok(vec![1]));
    assert_eq!(store.setting_or_insert("k", vec![2]).await, Ok(vec![1]));
}
