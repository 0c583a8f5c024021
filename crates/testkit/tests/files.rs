//! Files through a connection that breaks: they go on where they were cut, or are taken back.

use std::time::Duration;

use voxhall_protocol::control::{ChannelKind, UploadPurpose};
use voxhall_session::{Intent, State, TransferId, TransferProgress};
use voxhall_testkit::{
    people::Person,
    process::ServerProcess,
    proxy::{Path, Proxy},
};

const BYTES: u64 = 20 << 20;

fn progress(state: &State, transfer: TransferId) -> Option<TransferProgress> {
    Some(state.transfers.get(&transfer)?.progress.clone())
}

fn moved(state: &State, transfer: TransferId, least: u64) -> Option<()> {
    matches!(progress(state, transfer)?, TransferProgress::Moving { bytes, .. } if bytes >= least)
        .then_some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_cut_on_its_way_goes_on_and_one_that_is_taken_back_stops() {
    let server = ServerProcess::start().unwrap();
    let proxy = Proxy::start(server.address(), Path::default(), 1).unwrap();
    let ann = Person::guest(&proxy.through(server.invite()), "ann")
        .await
        .unwrap();
    let bob = Person::guest(server.invite(), "bob").await.unwrap();
    let channel = ann.state().guilds[0]
        .channels_of(ChannelKind::Text)
        .next()
        .unwrap()
        .id;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.bin");
    let bytes: Vec<u8> = (0..BYTES).map(|i| (i * i % 253) as u8).collect();
    std::fs::write(&path, &bytes).unwrap();
    let purpose = UploadPurpose::Message(channel);

    let transfer = TransferId(ann.session.fresh_id());
    ann.session.send(Intent::Upload {
        transfer,
        purpose,
        path: path.clone(),
    });
    let text = "the film".to_owned();
    ann.session.send(Intent::SendMessage {
        channel,
        text,
        reply_to: None,
        uploads: vec![transfer],
    });
    ann.until("for some of the file to go", |state| {
        moved(state, transfer, BYTES / 8)
    })
    .await
    .unwrap();
    proxy.allow_control(false);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let at = progress(&ann.state(), transfer);
    assert!(
        matches!(at, Some(TransferProgress::Moving { bytes, .. }) if bytes < BYTES),
        "cut too late: {at:?}"
    );
    proxy.allow_control(true);
    let gone = ann.until("for the file to go with its message", |state| {
        state.transfers.is_empty().then_some(())
    });
    if let Err(error) = gone.await {
        let state = ann.state();
        panic!(
            "{error}: {:?}, {:?}",
            state.transfers,
            state.history.get(&channel).map(|it| &it.pending)
        );
    }
    let message = bob
        .until("to be told", |_| bob.told(channel).pop())
        .await
        .unwrap();
    assert_eq!(message.attachments[0].bytes, BYTES);

    let transfer = TransferId(bob.session.fresh_id());
    let to = folder.path().join("got.bin");
    let file = message.attachments[0].id;
    bob.session.send(Intent::Download {
        transfer,
        file,
        thumbnail: false,
        to: to.clone(),
    });
    let saved = bob.until("for the file", |state| match progress(state, transfer)? {
        TransferProgress::Saved(to) => Some(Ok(to)),
        TransferProgress::Failed(why) => Some(Err(why)),
        _ => None,
    });
    assert_eq!(saved.await.unwrap(), Ok(to.clone()));
    assert!(std::fs::read(to).unwrap() == bytes, "the same bytes");

    let transfer = TransferId(ann.session.fresh_id());
    ann.session.send(Intent::Upload {
        transfer,
        purpose,
        path,
    });
    ann.until("for it to begin", |state| moved(state, transfer, 1))
        .await
        .unwrap();
    ann.session.send(Intent::DropTransfer(transfer));
    ann.until("for it to stop", |state| {
        state.transfers.is_empty().then_some(())
    })
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(ann.state().transfers.is_empty());
}
