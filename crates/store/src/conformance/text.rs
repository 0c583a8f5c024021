//! Messages.

use voxhall_protocol::{ChannelId, MessageId, UserId};

use super::*;

pub async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    a_message_is_stored_once(&fresh()).await;
    history_is_paged(&fresh()).await;
    only_members_read_and_write(&fresh()).await;
}

async fn a_message_is_stored_once<S: Store>(store: &S) {
    let (ann, text, _) = room(store).await;
    let post = |text: &str, nonce: &str| {
        store.post_message(NewMessage {
            channel: text_channel(text),
            author: ann,
            text: "hello".into(),
            nonce: nonce.into(),
            now: 5,
        })
    };
    fn text_channel(id: &str) -> ChannelId {
        ChannelId(id.parse().unwrap())
    }
    let channel = text.0.to_string();
    let (first, twin) = tokio::join!(post(&channel, "n1"), post(&channel, "n1"));
    let (first, twin) = (first.unwrap(), twin.unwrap());
    assert!(first.is_new && !twin.is_new);
    assert_eq!(first.message, twin.message);
    assert_eq!(first.message.sent_at_ms, 5);
    let other = store.post_message(NewMessage {
        channel: text,
        author: ann,
        text: "something else".into(),
        nonce: "n1".into(),
        now: 6,
    });
    assert_eq!(other.await.map(|_| ()), Err(PostError::NonceReused));
    let second = post(&channel, "n2").await.unwrap();
    assert!(second.message.id > first.message.id);
    let page = store.message_page(ann, text, None, 50).await.unwrap();
    assert_eq!(page.messages, [first.message, second.message]);
}

async fn history_is_paged<S: Store>(store: &S) {
    let (ann, channel, _) = room(store).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let new = NewMessage {
            channel,
            author: ann,
            text: format!("{n}"),
            nonce: format!("{n}"),
            now: n,
        };
        ids.push(store.post_message(new).await.unwrap().message.id);
    }
    let page = async |before: Option<MessageId>| {
        let page = store.message_page(ann, channel, before, 2).await.unwrap();
        let ids: Vec<_> = page.messages.iter().map(|m| m.id).collect();
        (ids, page.more)
    };
    assert_eq!(page(None).await, (ids[3..].to_vec(), true));
    assert_eq!(page(Some(ids[3])).await, (ids[1..3].to_vec(), true));
    assert_eq!(page(Some(ids[1])).await, (ids[..1].to_vec(), false));
    assert_eq!(page(Some(ids[0])).await, (vec![], false));
    assert_eq!(page(Some(MessageId(u64::MAX))).await, (vec![], false));
}

async fn only_members_read_and_write<S: Store>(store: &S) {
    let (ann, text, voice) = room(store).await;
    let stranger = store.sign_up(guest("eve", 9)).await.unwrap().user.id;
    let post = |author, channel| {
        let new = NewMessage {
            channel,
            author,
            text: "x".into(),
            nonce: "n".into(),
            now: 0,
        };
        async { store.post_message(new).await.map(|_| ()) }
    };
    assert_eq!(post(stranger, text).await, Err(PostError::NoChannel));
    assert_eq!(post(ann, voice).await, Err(PostError::NotText));
    assert_eq!(
        post(ann, ChannelId(u64::MAX)).await,
        Err(PostError::NoChannel)
    );
    assert_eq!(
        store.message_page(stranger, text, None, 5).await,
        Err(PostError::NoChannel)
    );
}
