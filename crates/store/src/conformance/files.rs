//! What is known of uploaded files.

use voxhall_protocol::{
    ChannelId, FileId, UserId,
    control::{Mentions, PictureSize},
};

use super::*;

const PLENTY: FileQuota = FileQuota {
    unfinished: 100,
    day: 1 << 40,
    user: 1 << 40,
    total: 1 << 40,
};
const DAY_MS: i64 = 24 * 3_600_000;

pub async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    a_file_is_begun_completed_and_sent_once(&fresh()).await;
    only_ones_own_complete_files_for_the_channel_are_sent(&fresh()).await;
    there_is_only_so_much_room(&fresh()).await;
    what_nobody_wants_is_swept(&fresh()).await;
}

fn new(uploader: UserId, channel: Option<ChannelId>, bytes: u64, now: i64) -> NewFile {
    NewFile {
        uploader,
        channel,
        name: "cat.png".into(),
        bytes,
        quota: PLENTY,
        now,
    }
}

fn content(bytes: u64, now: i64) -> FileContent {
    FileContent {
        bytes,
        media_type: "image/png".into(),
        picture: Some(PictureSize {
            width: 30,
            height: 20,
            thumbnail: true,
        }),
        completed_at_ms: now,
    }
}

async fn complete<S: Store>(store: &S, uploader: UserId, channel: Option<ChannelId>) -> FileId {
    let file = store
        .begin_file(new(uploader, channel, 10, 0))
        .await
        .unwrap();
    assert_eq!(store.complete_file(file, content(9, 1)).await, Ok(true));
    file
}

fn with(channel: ChannelId, author: UserId, nonce: &str, attachments: &[FileId]) -> NewMessage {
    NewMessage {
        attachments: attachments.to_vec(),
        ..NewMessage::new(channel, author, "", nonce, 5)
    }
}

async fn a_file_is_begun_completed_and_sent_once<S: Store>(store: &S) {
    let (ann, channel, _) = room(store).await;
    let file = store
        .begin_file(new(ann, Some(channel), 10, 0))
        .await
        .unwrap();
    let record = store.file(file).await.unwrap().unwrap();
    assert_eq!(
        (record.uploader, record.channel, record.message),
        (ann, Some(channel), None)
    );
    assert_eq!((record.announced, record.bytes), (10, 10));
    assert_eq!((record.content.clone(), record.attachment()), (None, None));
    assert_eq!(store.complete_file(file, content(9, 1)).await, Ok(true));
    assert_eq!(
        store.complete_file(file, content(8, 2)).await,
        Ok(false),
        "once"
    );
    let record = store.file(file).await.unwrap().unwrap();
    assert_eq!((record.announced, record.bytes), (10, 9));
    let attachment = record.attachment().unwrap();
    assert_eq!(
        (
            attachment.bytes,
            attachment.media_type.as_str(),
            attachment.name.as_str()
        ),
        (9, "image/png", "cat.png")
    );

    let other = complete(store, ann, Some(channel)).await;
    let sent = store
        .post_message(with(channel, ann, "n", &[other, file]))
        .await
        .unwrap()
        .message;
    assert_eq!(
        sent.attachments
            .iter()
            .map(|file| file.id)
            .collect::<Vec<_>>(),
        [other, file]
    );
    assert_eq!(sent.attachments[1], attachment);
    assert!(
        !store
            .post_message(with(channel, ann, "n", &[other, file]))
            .await
            .unwrap()
            .is_new
    );
    assert_eq!(
        store
            .post_message(with(channel, ann, "n", &[file, other]))
            .await,
        Err(PostError::NonceReused)
    );
    assert_eq!(
        store.post_message(with(channel, ann, "m", &[file])).await,
        Err(PostError::NoFile(file))
    );
    assert_eq!(
        store.file(file).await.unwrap().unwrap().message,
        Some(sent.id)
    );
    // A text may be taken out of a message that has files, and only then.
    let edit = MessageEdit {
        channel,
        message: sent.id,
        author: ann,
        text: String::new(),
        mentions: Mentions::default(),
        now: 6,
    };
    store.edit_message(edit).await.unwrap();

    assert_eq!(store.dead_files(10).await, Ok(vec![]));
    let deletion = Deletion {
        channel,
        message: sent.id,
        by: ann,
        others: None,
        now: 7,
    };
    assert_eq!(store.delete_message(deletion).await.unwrap().files, 2);
    assert_eq!(store.file(file).await, Ok(None));
    let mut dead = store.dead_files(10).await.unwrap();
    dead.sort_unstable();
    assert_eq!(dead, [file, other]);
    store.forget_dead_files(vec![file]).await.unwrap();
    assert_eq!(store.dead_files(10).await, Ok(vec![other]));
}

async fn only_ones_own_complete_files_for_the_channel_are_sent<S: Store>(store: &S) {
    let (ann, channel, elsewhere) = room(store).await;
    let bob = store
        .sign_up(by_invite(guest("bob", 2), "g-invite"))
        .await
        .unwrap()
        .user
        .id;
    let open = store
        .begin_file(new(ann, Some(channel), 10, 0))
        .await
        .unwrap();
    let bobs = complete(store, bob, Some(channel)).await;
    let other_channel = complete(store, ann, Some(elsewhere)).await;
    let picture = complete(store, ann, None).await;
    let good = complete(store, ann, Some(channel)).await;
    for bad in [open, bobs, other_channel, picture, FileId(u64::MAX)] {
        let refused = store
            .post_message(with(channel, ann, "n", &[good, bad]))
            .await;
        assert_eq!(refused, Err(PostError::NoFile(bad)));
    }
    assert_eq!(
        store.file(good).await.unwrap().unwrap().message,
        None,
        "nothing is left of what was refused"
    );
    store
        .post_message(with(channel, ann, "n", &[good]))
        .await
        .unwrap();
}

async fn there_is_only_so_much_room<S: Store>(store: &S) {
    let (ann, channel, _) = room(store).await;
    let bob = store
        .sign_up(by_invite(guest("bob", 2), "g-invite"))
        .await
        .unwrap()
        .user
        .id;
    let begin = |uploader, bytes, quota, now| {
        store.begin_file(NewFile {
            quota,
            ..new(uploader, Some(channel), bytes, now)
        })
    };
    let first = begin(ann, 60, PLENTY, 0).await.unwrap();
    let few = FileQuota {
        unfinished: 1,
        ..PLENTY
    };
    assert_eq!(
        begin(ann, 1, few, 0).await,
        Err(BeginFileError::Unfinished(1))
    );
    begin(bob, 1, few, 0).await.unwrap();
    store.complete_file(first, content(60, 0)).await.unwrap();
    begin(ann, 1, few, 0).await.unwrap();
    for (quota, full) in [
        (
            FileQuota {
                user: 100,
                ..PLENTY
            },
            BeginFileError::User,
        ),
        (FileQuota { day: 100, ..PLENTY }, BeginFileError::Day),
        (
            FileQuota {
                total: 101,
                ..PLENTY
            },
            BeginFileError::Total,
        ),
    ] {
        assert_eq!(begin(ann, 40, quota, 1).await, Err(full));
        assert!(begin(ann, u64::MAX, quota, 1).await.is_err());
    }
    let day = FileQuota { day: 100, ..PLENTY };
    let next_day = begin(ann, 40, day, 1 + DAY_MS).await.unwrap();
    store.give_up_file(next_day).await.unwrap();
    assert_eq!(store.file(next_day).await, Ok(None));
    store.give_up_file(first).await.unwrap();
    assert!(
        store.file(first).await.unwrap().is_some(),
        "a complete one stays"
    );
    assert_eq!(store.dead_files(10).await, Ok(vec![next_day]));
    assert_eq!(
        store.complete_file(next_day, content(1, 1)).await,
        Ok(false)
    );
    // What was given up, or became smaller, leaves its room: 62 bytes are taken.
    let tight = FileQuota {
        user: 69,
        total: 70,
        ..PLENTY
    };
    assert_eq!(begin(ann, 9, tight, 1).await, Err(BeginFileError::User));
    assert_eq!(begin(bob, 9, tight, 1).await, Err(BeginFileError::Total));
    let last = begin(ann, 8, tight, 1).await.unwrap();
    store.complete_file(last, content(3, 1)).await.unwrap();
    assert_eq!(begin(ann, 6, tight, 1).await, Err(BeginFileError::User));
    assert_eq!(begin(bob, 6, tight, 1).await, Err(BeginFileError::Total));
    begin(ann, 5, tight, 1).await.unwrap();
}

async fn what_nobody_wants_is_swept<S: Store>(store: &S) {
    let (ann, channel, _) = room(store).await;
    let open = store
        .begin_file(new(ann, Some(channel), 10, 0))
        .await
        .unwrap();
    let unsent = complete(store, ann, Some(channel)).await;
    let unused = complete(store, ann, None).await;
    let shown = complete(store, ann, None).await;
    let sent = complete(store, ann, Some(channel)).await;
    store
        .post_message(with(channel, ann, "n", &[sent]))
        .await
        .unwrap();
    let guild = store.guilds().await.unwrap().remove(0).info.id;
    let update = GuildUpdate {
        icon: Some(Some(shown)),
        ..GuildUpdate::default()
    };
    store
        .update_guild(guild, update, Act::new(ann, 1))
        .await
        .unwrap();
    let young = store
        .begin_file(new(ann, Some(channel), 10, DAY_MS))
        .await
        .unwrap();

    assert_eq!(store.sweep_files(DAY_MS, 2).await, Ok(2), "a few at a time");
    assert_eq!(store.sweep_files(DAY_MS, 2).await, Ok(1));
    assert_eq!(store.sweep_files(DAY_MS, 2).await, Ok(0));
    let all = vec![open, unsent, unused, shown, sent, young, FileId(u64::MAX)];
    assert_eq!(store.known_files(all).await, Ok(vec![shown, sent, young]));
    let mut dead = store.dead_files(10).await.unwrap();
    dead.sort_unstable();
    assert_eq!(dead, [open, unsent, unused]);
    let update = GuildUpdate {
        icon: Some(None),
        ..GuildUpdate::default()
    };
    store
        .update_guild(guild, update, Act::new(ann, 2))
        .await
        .unwrap();
    assert_eq!(store.sweep_files(DAY_MS, 2).await, Ok(1));
}
