//! What outlives a connection: the session, tokens, what was written, what was read; and questions, pages and files beside it.

use super::*;

/// Everything sent since the last look, as method, params and id.
fn sent(bench: &mut Bench) -> Vec<(String, Value, u64)> {
    let texts = bench.out.drain(..).filter_map(|output| match output {
        Output::Send(text) => Some(text),
        _ => None,
    });
    let read = |text: String| {
        let mut message: Value = serde_json::from_str(&text).unwrap();
        let method = message["method"].as_str().unwrap().to_owned();
        (
            method,
            message["params"].take(),
            message["id"].as_u64().unwrap(),
        )
    };
    texts.map(read).collect()
}

fn write(bench: &mut Bench, text: &str) {
    bench.intent(Intent::SendMessage {
        channel: ChannelId(1),
        text: text.into(),
        reply_to: None,
        uploads: vec![],
    });
}

fn stored(id: u64, params: &Value) -> Value {
    json!({"id": id, "channel_id": 1, "author": user(1), "text": params["text"], "sent_at_ms": 0, "nonce": params["nonce"]})
}

fn typing(user: u64) -> Event {
    Event::TypingStarted {
        channel_id: ChannelId(1),
        user_id: UserId(user),
    }
}

#[test]
fn a_session_goes_on_where_it_was_cut_and_sends_what_waited_after_what_it_missed() {
    let mut bench = Bench::online();
    bench.event(&typing(2));
    bench.input(Input::Closed);
    write(&mut bench, "while away");
    bench.intent(Intent::EditMessage {
        channel: ChannelId(2),
        message: MessageId(5),
        text: "better".into(),
    });
    bench.pass();
    bench.resume(2);
    assert_eq!(bench.connection(), &Connection::Online);
    assert!(sent(&mut bench).is_empty(), "two events are still to come");
    bench.event(&typing(2));
    bench.event(&typing(2));
    let methods: Vec<_> = sent(&mut bench).into_iter().map(|it| it.0).collect();
    assert_eq!(methods, ["message.send", "message.edit"]);
}

#[test]
fn a_gap_between_events_is_a_full_sync_and_a_repeated_event_is_none() {
    let mut bench = Bench::online();
    bench.event(&typing(2));
    bench.seq -= 1;
    bench.out.clear();
    bench.event(&typing(2));
    assert!(bench.out.is_empty(), "it was folded before");
    bench.seq += 1;
    bench.event(&typing(2));
    assert!(bench.out.contains(&Output::Close));
    bench.pass();
    bench.hello();
    bench.expect("session.begin");
}

#[test]
fn a_new_refresh_token_is_kept_before_anything_is_done_with_it() {
    let mut bench = Bench::online();
    let mut replaced = credentials();
    replaced["refresh_token"] = json!("r2");
    // Pings and their answers, until the token is about to expire.
    let id = loop {
        bench.pass();
        let (method, params, id) = sent(&mut bench).pop().expect("something is sent");
        if method == "account.refresh" {
            assert_eq!(params["refresh_token"], "r");
            break id;
        }
        bench.result(id, json!({}));
    };
    bench.result(id, replaced);
    let Some(Output::Credentials(Some(login))) = bench.out.first() else {
        panic!("{:?}", bench.out)
    };
    assert_eq!(login.refresh_token.expose(), "r2");
    assert_eq!(bench.connection(), &Connection::Online);
    // An access token that is still good needs no other to come back.
    bench.input(Input::Closed);
    bench.pass();
    bench.resume(0);
}

#[test]
fn a_lost_answer_to_a_refresh_is_asked_for_again_with_the_same_token() {
    let mut bench = Bench::online();
    bench.input(Input::Closed);
    bench.now += Duration::from_secs(3_600);
    bench.pass();
    for _ in 0..2 {
        bench.hello();
        let (params, _) = bench.expect("account.refresh");
        assert_eq!(params["refresh_token"], "r");
        bench.input(Input::Closed);
        bench.pass();
    }
}

#[test]
fn who_is_moved_goes_along_and_who_is_taken_out_stays_out() {
    let mut bench = Bench::in_voice();
    let ended = |channel, reason| Event::VoiceEnded {
        channel_id: ChannelId(channel),
        reason,
    };
    bench.event(&ended(2, control::EndReason::MovedTo(ChannelId(3))));
    let (params, id) = bench.expect("voice.join");
    assert_eq!(params["channel_id"], 3);
    let mut there = grant();
    there["channel_id"] = json!(3);
    bench.result(id, there);
    bench.event(&ended(3, control::EndReason::Disconnected));
    assert!(bench.out.contains(&Output::StopVoice));
    assert_eq!(bench.core.state().voice.path, VoicePath::Out);
}

#[test]
fn messages_go_one_after_the_other_and_wait_when_the_server_says_so() {
    let mut bench = Bench::online();
    write(&mut bench, "one");
    write(&mut bench, "two");
    let (first, id) = {
        let mut sent = sent(&mut bench);
        assert_eq!(sent.len(), 1, "the second waits for the first");
        let (_, params, id) = sent.remove(0);
        (params, id)
    };
    let limited = Failure::new(FailureKind::RateLimited, "slowly").retry_after_ms(700);
    bench.input(Input::Text(control::encode_failure(Some(id), &limited)));
    assert!(sent(&mut bench).is_empty());
    let before = bench.now;
    bench.pass();
    assert_eq!(bench.now - before, Duration::from_millis(700));
    let (again, id) = bench.expect("message.send");
    assert_eq!(again, first);
    bench.result(id, stored(9, &first));
    let (second, id) = bench.expect("message.send");
    assert_eq!(second["text"], "two");
    bench.result(id, stored(10, &second));
    assert!(bench.core.state().history[&ChannelId(1)].pending.is_empty());
}

#[test]
fn a_message_waits_for_its_files_and_takes_them_along() {
    let mut bench = Bench::online();
    let transfer = TransferId(4);
    bench.intent(Intent::Upload {
        transfer,
        purpose: UploadPurpose::Message(ChannelId(1)),
        path: "/tmp/cat.png".into(),
    });
    bench.intent(Intent::SendMessage {
        channel: ChannelId(1),
        text: String::new(),
        reply_to: None,
        uploads: vec![transfer],
    });
    assert!(sent(&mut bench).is_empty());
    let attachment = control::Attachment {
        id: FileId(7),
        name: "cat.png".into(),
        bytes: 3,
        media_type: "image/png".into(),
        picture: None,
    };
    bench.input(Input::Transfer(
        transfer,
        TransferProgress::Uploaded(attachment),
    ));
    let (params, id) = bench.expect("message.send");
    assert_eq!(params["attachments"], json!([7]));
    bench.event(&Event::MessageCreated {
        guild_id: Some(GuildId(1)),
        message: serde_json::from_value(stored(9, &params)).unwrap(),
    });
    let state = bench.core.state();
    assert!(state.transfers.is_empty(), "gone with its message");
    assert!(state.history[&ChannelId(1)].pending.is_empty());
    bench.result(id, stored(9, &params));
}

#[test]
fn a_question_is_answered_or_says_why_not() {
    let mut bench = Bench::online();
    let list = || Request::from(control::ListDevices {});
    let tag = Tag(3);
    bench.intent(Intent::Ask {
        tag: Some(tag),
        request: list(),
    });
    assert_eq!(bench.core.state().answers[&tag], crate::Answer::Waiting);
    let (_, id) = bench.expect("device.list");
    bench.result(id, json!({"devices": []}));
    assert!(matches!(
        bench.core.state().answers[&tag],
        crate::Answer::Done(_)
    ));
    assert!(
        bench.core.state().devices.is_some(),
        "learned from the answer"
    );
    bench.input(Input::Ask {
        tag,
        request: list(),
    });
    bench.input(Input::Closed);
    assert!(
        bench
            .out
            .contains(&Output::Answered(tag, Err(AskError::Lost)))
    );
    bench.input(Input::Ask {
        tag,
        request: list(),
    });
    assert_eq!(
        bench.out.last(),
        Some(&Output::Answered(tag, Err(AskError::Offline)))
    );
}

#[test]
fn what_happens_while_a_page_is_on_its_way_is_not_undone_by_it() {
    let mut bench = Bench::online();
    let channel_id = ChannelId(1);
    bench.intent(Intent::LoadMessages(channel_id));
    let (_, id) = bench.expect("message.list");
    let message = |id: u64| json!({"id": id, "channel_id": 1, "author": user(2), "text": "x", "sent_at_ms": 0, "nonce": id.to_string()});
    bench.event(&Event::MessageDeleted {
        channel_id,
        message_ids: vec![MessageId(5)],
    });
    bench.event(&Event::MessageCreated {
        guild_id: Some(GuildId(1)),
        message: serde_json::from_value(message(7)).unwrap(),
    });
    // The page was read before both.
    bench.result(
        id,
        json!({"messages": [message(5), message(6)], "more": false}),
    );
    let history = &bench.core.state().history[&channel_id];
    let ids: Vec<_> = history.messages.iter().map(|it| it.id.0).collect();
    assert_eq!(ids, [6, 7]);
}

#[test]
fn what_was_read_is_counted_at_once_and_told_when_there_is_a_connection() {
    let mut bench = Bench::online();
    let channel = ChannelId(1);
    for id in 5..8_u64 {
        let message = json!({"id": id, "channel_id": 1, "author": user(2), "text": "x", "sent_at_ms": 0, "nonce": id.to_string()});
        bench.event(&Event::MessageCreated {
            guild_id: Some(GuildId(1)),
            message: serde_json::from_value(message).unwrap(),
        });
    }
    assert_eq!(bench.core.state().reading[&channel].unread, 3);
    bench.input(Input::Closed);
    for message in [MessageId(5), MessageId(6)] {
        bench.intent(Intent::MarkRead { channel, message });
    }
    assert_eq!(bench.core.state().reading[&channel].unread, 1);
    bench.pass();
    bench.resume(0);
    let told: Vec<_> = sent(&mut bench)
        .into_iter()
        .map(|(method, params, _)| (method, params["message_id"].clone()))
        .collect();
    assert_eq!(told, [("channel.mark_read".to_owned(), json!(6))]);
}
