//! How much there is of everything.

use super::*;

pub async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    what_is_there_is_counted_and_what_is_gone_is_not(&fresh()).await;
}

async fn what_is_there_is_counted_and_what_is_gone_is_not<S: Store>(store: &S) {
    assert_eq!(store.totals().await, Ok(Totals::default()));
    let (ann, channel, _) = room(store).await;
    let [bob, gone] = [
        store.sign_up(guest("bob", 2)).await.unwrap().user.id,
        store.sign_up(guest("gone", 3)).await.unwrap().user.id,
    ];
    store.sign_up(guest("eve", 4)).await.unwrap();
    assert_eq!(store.delete_user(gone, 9).await, Ok(true));
    let begin = |uploader, bytes| {
        store.begin_file(NewFile {
            uploader,
            channel: None,
            name: "cat.png".into(),
            bytes,
            quota: FileQuota {
                unfinished: 9,
                day: 1_000,
                user: 1_000,
                total: 1_000,
            },
            now: 1,
        })
    };
    for (uploader, announced, bytes) in [(ann, 10, 9), (bob, 20, 20)] {
        let file = begin(uploader, announced).await.unwrap();
        let content = FileContent {
            bytes,
            media_type: "text/plain".into(),
            picture: None,
            completed_at_ms: 2,
        };
        assert_eq!(store.complete_file(file, content).await, Ok(true));
    }
    begin(ann, 100).await.unwrap();
    let mut messages = Vec::new();
    for nonce in ["a", "b", "c", "d"] {
        let new = NewMessage::new(channel, ann, "hello", nonce, 5);
        messages.push(store.post_message(new).await.unwrap().message.id);
    }
    let deletion = Deletion {
        channel,
        message: messages[0],
        by: ann,
        others: None,
        now: 9,
    };
    store.delete_message(deletion).await.unwrap();
    let totals = Totals {
        accounts: 1,
        guests: 2,
        guilds: 1,
        messages: 3,
        files: 2,
        file_bytes: 29,
    };
    assert_eq!(store.totals().await, Ok(totals));
}
