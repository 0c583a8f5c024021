//! Files: sent in pieces, looked at, shown to who may see them, and gone with their message.

use std::time::{Duration, Instant};

use image::ImageFormat;
use tokio::io::AsyncWriteExt;
use voxhall_protocol::{
    FileId,
    control::{
        BeginUpload, ChannelKind, DeleteMessage, FailureKind, ListMessages, SearchMessages,
        SendMessage, UpdateAccount, UpdateGuild, UploadPurpose, UploadStatus,
    },
    permissions::Permissions,
};

use crate::{
    client::tls,
    fixture::Server,
    people::{Person, channel_of},
    text::{club, club_on},
    transfers::{
        ask, attachment, bearer, begin, for_message, get, offset, on_disk, patch, picture, upload,
        with_file,
    },
};

#[tokio::test]
async fn a_file_is_sent_and_fetched_by_who_may_see_it() {
    let mut club = club().await;
    let text = club.text;
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let file = upload(
        &club.server,
        &mut club.ann,
        text,
        "../../über\n.bin",
        &bytes,
    )
    .await;
    assert_eq!(
        (file.name.as_str(), file.bytes, file.media_type.as_str()),
        ("über.bin", 1_200_000, "application/octet-stream")
    );
    let path = format!("/files/{}", file.id);
    assert_eq!(
        get(&club, &club.ann, &path).await.status,
        200,
        "one's own, before it is sent"
    );
    assert_eq!(get(&club, &club.bob, &path).await.status, 404);
    let send = with_file(text, file.id, "n");
    let sent = club.ann.call(&send).await.unwrap();
    assert_eq!(sent.attachments, std::slice::from_ref(&file));
    assert_eq!(club.ann.call(&send).await.unwrap(), sent);
    assert_eq!(
        club.ann.tries(&with_file(text, file.id, "again")).await,
        Some(FailureKind::NotFound)
    );

    let answer = get(&club, &club.bob, &path).await;
    assert_eq!(
        (answer.status, answer.body.len(), answer.body == bytes),
        (200, bytes.len(), true)
    );
    for (header, value) in [
        ("content-type", "application/octet-stream"),
        (
            "content-disposition",
            "attachment; filename=\"_ber.bin\"; filename*=UTF-8''%C3%BCber.bin",
        ),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cache-control", "private, max-age=3600"),
        ("content-length", "1200000"),
    ] {
        assert_eq!(answer.header(header), Some(value), "{}", answer.head);
    }
    let asked = |range: &'static str| {
        let (server, auth) = (&club.server, bearer(&club.bob));
        let path = &path;
        async move {
            ask(
                server,
                "GET",
                path,
                &[("Authorization", &auth), ("Range", range)],
                b"",
            )
            .await
        }
    };
    let part = asked("bytes=1000-1999").await;
    assert_eq!(
        (part.status, part.header("content-range")),
        (206, Some("bytes 1000-1999/1200000"))
    );
    assert_eq!(part.body, bytes[1_000..2_000]);
    let tail = asked("bytes=-10").await;
    assert_eq!(
        (tail.status, tail.body.as_slice()),
        (206, &bytes[bytes.len() - 10..])
    );
    assert_eq!(asked("bytes=1200000-").await.status, 416);
    let auth = bearer(&club.bob);
    let head = ask(
        &club.server,
        "HEAD",
        &path,
        &[("Authorization", &auth)],
        b"",
    )
    .await;
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, Some("1200000"), 0)
    );

    // Nobody else: not without a token, with a wrong one, out of another guild, or when the channel is no longer theirs.
    for wrong in [
        "",
        "Bearer x",
        "Bearer",
        &format!("Basic {}", club.bob.token.expose()),
    ] {
        let answer = ask(&club.server, "GET", &path, &[("Authorization", wrong)], b"").await;
        assert_eq!(
            (answer.status, answer.header("www-authenticate")),
            (401, Some("Bearer"))
        );
    }
    let eve = Person::new(&club.server, "eve", &club.server.invite_code()).await;
    for path in [path.as_str(), "/files/999999", &format!("{path}/thumbnail")] {
        assert_eq!(get(&club, &eve, path).await.status, 404, "{path}");
    }
    for odd in [
        "/files/..%2f..%2fvoxhall.db",
        "/files/-1",
        "/files/1.thumbnail",
        "/files/",
        "/uploads/../voxhall.db",
    ] {
        let answer = get(&club, &club.ann, odd).await;
        assert!(matches!(answer.status, 400 | 404), "{odd}: {answer:?}");
    }
    let search = SearchMessages {
        guild_id: Some(club.guild.id),
        channel_id: None,
        query: "has:file".into(),
        before: None,
    };
    assert_eq!(club.bob.call(&search).await.unwrap().found.len(), 1);
    club.deny(text, Permissions::VIEW_CHANNEL).await;
    assert_eq!(get(&club, &club.bob, &path).await.status, 404);
    assert_eq!(get(&club, &club.ann, &path).await.status, 200);
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_cut() {
    let mut club = club().await;
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let upload = begin(&mut club.ann, club.text, "cut.bin", bytes.len() as u64).await;
    // The line breaks in the middle: less comes than was announced.
    let mut stream = tls(&club.server.link("invite"), None).await.unwrap();
    let head = format!(
        "PATCH {} HTTP/1.1\r\nHost: s\r\nAuthorization: {}\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nContent-Length: {}\r\n\r\n",
        upload.path,
        bearer(&club.ann),
        bytes.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&bytes[..1_000_000]).await.unwrap();
    stream.flush().await.unwrap();
    while club
        .ann
        .call(&UploadStatus {
            file_id: upload.file_id,
        })
        .await
        .unwrap()
        .offset
        == 0
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The old connection still stands, and its bytes don't count any more once somebody asks where to go on.
    let there = offset(&club.server, &club.ann, &upload.path).await;
    assert!(there > 0 && there <= 1_000_000, "{there}");
    let _ = stream.write_all(&bytes[1_000_000..1_500_000]).await;
    drop(stream);
    assert_eq!(offset(&club.server, &club.ann, &upload.path).await, there);

    // Another cut, by the server's own end.
    let at = usize::try_from(there).unwrap();
    let middle = at + 700_000;
    let answer = patch(
        &club.server,
        &club.ann,
        &upload.path,
        there,
        &bytes[at..middle],
    )
    .await;
    assert_eq!(
        (answer.status, answer.header("upload-offset")),
        (204, Some(middle.to_string().as_str()))
    );
    club.server.kill();
    club.server.start_again();
    assert_eq!(
        offset(&club.server, &club.ann, &upload.path).await,
        middle as u64,
        "what was acknowledged is there"
    );
    for wrong in [0, middle as u64 - 1, middle as u64 + 1] {
        let answer = patch(&club.server, &club.ann, &upload.path, wrong, b"x").await;
        assert_eq!(
            (answer.status, answer.header("upload-offset")),
            (409, Some(middle.to_string().as_str()))
        );
    }
    let too_long = [&bytes[middle..], b"and more"].concat();
    assert_eq!(
        patch(
            &club.server,
            &club.ann,
            &upload.path,
            middle as u64,
            &too_long
        )
        .await
        .status,
        413
    );
    let answer = patch(
        &club.server,
        &club.ann,
        &upload.path,
        middle as u64,
        &bytes[middle..],
    )
    .await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(
        offset(&club.server, &club.ann, &upload.path).await,
        bytes.len() as u64
    );
    let fetched = get(&club, &club.ann, &format!("/files/{}", upload.file_id)).await;
    assert!(fetched.body == bytes, "{} bytes", fetched.body.len());
    assert!(on_disk(&club, "uploads").is_empty());
}

#[tokio::test]
async fn pictures_get_small_ones_and_lose_what_they_tell() {
    let mut club = club().await;
    let text = club.text;
    let plain = picture(1_200, 800, ImageFormat::Jpeg);
    let exif = b"\xff\xe1\x00\x16Exif\0\0GPS 50.9 6.9\0\0";
    let told = [&plain[..2], exif, &plain[2..]].concat();
    let photo = upload(&club.server, &mut club.ann, text, "photo.exe", &told).await;
    assert_eq!(
        (photo.media_type.as_str(), photo.bytes),
        ("image/jpeg", plain.len() as u64)
    );
    let size = photo.picture.unwrap();
    assert_eq!(
        (size.width, size.height, size.thumbnail),
        (1_200, 800, true)
    );
    // Whoever didn't hear that it is complete finds all that was sent, and not what is left of it.
    let sent = format!("/uploads/{}", photo.id);
    let all = told.len() as u64;
    assert_eq!(offset(&club.server, &club.ann, &sent).await, all);
    let nothing = patch(&club.server, &club.ann, &sent, all, b"").await;
    assert_eq!(nothing.status, 204);
    club.ann
        .call(&with_file(text, photo.id, "n"))
        .await
        .unwrap();
    let path = format!("/files/{}", photo.id);
    let whole = get(&club, &club.bob, &path).await;
    assert!(whole.body == plain, "nothing but the picture");
    assert_eq!(whole.header("content-type"), Some("image/jpeg"));
    assert!(
        whole
            .header("content-disposition")
            .unwrap()
            .starts_with("inline;")
    );
    let small = get(&club, &club.bob, &format!("{path}/thumbnail")).await;
    assert_eq!(
        (small.status, small.header("content-type")),
        (200, Some("image/jpeg"))
    );
    let small = image::load_from_memory(&small.body).unwrap();
    assert_eq!((small.width(), small.height()), (400, 267));
    let search = SearchMessages {
        guild_id: Some(club.guild.id),
        channel_id: None,
        query: "has:picture".into(),
        before: None,
    };
    assert_eq!(club.bob.call(&search).await.unwrap().found.len(), 1);
}

/// Whatever a file says it is, nothing in it runs and nothing in it takes more than its share.
#[tokio::test]
async fn bombs_polyglots_and_programs_are_kept_and_served_inert() {
    let mut club = club().await;
    let text = club.text;
    let mut bomb = picture(1, 1, ImageFormat::Png);
    // 60,000 x 60,000 pixels; a decoder that believed it would want 10 GB.
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let zip = [&b"PK\x03\x04\x14\0\0\0\x08\0"[..], &[0; 2_000]].concat();
    let svg = br#"<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    let html = b"<!DOCTYPE html><html><script>alert(1)</script></html>";
    let gif = b"GIF89a/*\x01\0\x80\0\0*/=1;alert(1)//";
    for (name, bytes) in [
        ("a.png", &bomb[..]),
        ("b.zip", &zip),
        ("c.svg", svg),
        ("d.png", html),
        ("e.gif", gif),
        ("f.html", html),
    ] {
        let file = upload(&club.server, &mut club.ann, text, name, bytes).await;
        assert_eq!(file.picture, None, "{file:?}");
        club.ann
            .call(&with_file(text, file.id, name))
            .await
            .unwrap();
        let answer = get(&club, &club.bob, &format!("/files/{}", file.id)).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body == bytes, "{name} stays as it is");
        assert!(
            answer
                .header("content-disposition")
                .unwrap()
                .starts_with("attachment;"),
            "{name}"
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/octet-stream"),
            "{name}: {}",
            answer.head
        );
        assert_eq!(
            answer.header("content-security-policy"),
            Some("default-src 'none'; sandbox")
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(
            get(&club, &club.bob, &format!("/files/{}/thumbnail", file.id))
                .await
                .status,
            404
        );
    }
    // A picture that is a page as well: only the picture is left.
    let polyglot = [&picture(20, 20, ImageFormat::Jpeg)[..], html].concat();
    let file = upload(&club.server, &mut club.ann, text, "g.jpg", &polyglot).await;
    assert!(file.picture.is_some() && file.bytes < polyglot.len() as u64);
    let answer = get(&club, &club.ann, &format!("/files/{}", file.id)).await;
    assert!(!answer.body.windows(6).any(|six| six == b"script"));
}

#[tokio::test]
async fn profile_pictures_and_icons_are_small_squares_for_everyone_here() {
    let mut club = club().await;
    let upload_picture = async |person: &mut Person, server: &Server, bytes: &[u8]| {
        let begin = BeginUpload {
            name: "me.png".into(),
            bytes: bytes.len() as u64,
            purpose: UploadPurpose::Picture,
        };
        let upload = person.call(&begin).await.unwrap();
        let answer = patch(server, person, &upload.path, 0, bytes).await;
        (upload.file_id, answer.status)
    };
    let (id, status) = upload_picture(
        &mut club.bob,
        &club.server,
        &picture(900, 600, ImageFormat::Png),
    )
    .await;
    assert_eq!(status, 204);
    let size = attachment(&mut club.bob, id)
        .await
        .unwrap()
        .picture
        .unwrap();
    assert_eq!((size.width, size.height), (512, 512));
    let profile = UpdateAccount {
        picture: Some(id),
        ..UpdateAccount::default()
    };
    club.bob.call(&profile).await.unwrap();
    assert_eq!(
        club.ann.tries(&profile).await,
        Some(FailureKind::NotFound),
        "it is Bob's"
    );
    let icon = |icon| UpdateGuild {
        guild_id: club.guild.id,
        name: None,
        description: None,
        icon: Some(icon),
    };
    let bobs_icon = icon(id);
    assert_eq!(
        club.ann.tries(&bobs_icon).await,
        Some(FailureKind::NotFound)
    );
    let (icon_id, _) = upload_picture(
        &mut club.ann,
        &club.server,
        &picture(60, 50, ImageFormat::Gif),
    )
    .await;
    let anns_icon = UpdateGuild {
        icon: Some(icon_id),
        ..bobs_icon
    };
    club.ann.call(&anns_icon).await.unwrap();
    let eve = Person::new(&club.server, "eve", &club.server.invite_code()).await;
    let seen = get(&club, &eve, &format!("/files/{id}")).await;
    let seen = image::load_from_memory(&seen.body).unwrap();
    assert_eq!((seen.width(), seen.height()), (512, 512));
    // It is no attachment, and what is no picture is no profile's picture.
    let send = with_file(club.text, id, "n");
    assert_eq!(club.bob.tries(&send).await, Some(FailureKind::NotFound));
    let (bad, status) = upload_picture(&mut club.bob, &club.server, b"<svg onload=alert(1)>").await;
    assert_eq!(status, 422);
    assert_eq!(
        club.bob.tries(&UploadStatus { file_id: bad }).await,
        Some(FailureKind::NotFound)
    );
}

#[tokio::test]
async fn a_file_goes_with_its_message() {
    let mut club = club().await;
    let channel_id = club.text;
    let file = upload(
        &club.server,
        &mut club.bob,
        channel_id,
        "p.png",
        &picture(500, 500, ImageFormat::Png),
    )
    .await;
    let message_id = club
        .bob
        .call(&with_file(channel_id, file.id, "n"))
        .await
        .unwrap()
        .id;
    assert_eq!(on_disk(&club, "attachments").len(), 2);
    club.ann
        .call(&DeleteMessage {
            channel_id,
            message_id,
        })
        .await
        .unwrap();
    for person in [&club.ann, &club.bob] {
        assert_eq!(
            get(&club, person, &format!("/files/{}", file.id))
                .await
                .status,
            404
        );
    }
    let until = Instant::now() + Duration::from_secs(10);
    while !on_disk(&club, "attachments").is_empty() {
        assert!(Instant::now() < until, "the bytes are still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What belongs to nothing is found at the start.
    let stray = club.server.data().join("attachments").join("4711");
    std::fs::write(&stray, "x").unwrap();
    club.server.terminate();
    club.server.start_again();
    while stray.exists() {
        assert!(
            Instant::now() < until + Duration::from_secs(10),
            "the stray is still there"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn who_may_not_send_files_or_has_no_room_is_told_so() {
    let limits = [
        "--sign-ins-per-minute",
        "10000",
        "--attachment-max",
        "1 MiB",
        "--attachments-per-user",
        "2 MiB",
    ];
    let mut club = club_on(Server::start_with(&limits)).await;
    let (text, mib) = (club.text, 1_u64 << 20);
    assert_eq!(
        club.bob.tries(&for_message(text, "x", mib + 1)).await,
        Some(FailureKind::TooLarge)
    );
    assert_eq!(
        club.bob.tries(&for_message(text, "x", 0)).await,
        Some(FailureKind::InvalidParams)
    );
    assert_eq!(
        club.bob.tries(&for_message(text, "x", u64::MAX)).await,
        Some(FailureKind::TooLarge)
    );
    let upload = begin(&mut club.bob, text, "x", mib).await;
    assert_eq!(
        club.bob.tries(&for_message(text, "x", mib)).await,
        Some(FailureKind::TooLarge),
        "enough for a day"
    );
    // Only who announced it sends it, and only as tus has it.
    for person in [&club.ann] {
        assert_eq!(
            patch(&club.server, person, &upload.path, 0, b"x")
                .await
                .status,
            404
        );
    }
    let auth = bearer(&club.bob);
    let with = async |headers: &[(&str, &str)]| {
        let mut all = vec![("Authorization", auth.as_str())];
        all.extend(headers);
        ask(&club.server, "PATCH", &upload.path, &all, b"x").await
    };
    let (tus, kind) = (
        ("Tus-Resumable", "1.0.0"),
        ("Content-Type", "application/offset+octet-stream"),
    );
    let old = with(&[("Tus-Resumable", "0.2.2"), kind, ("Upload-Offset", "0")]).await;
    assert_eq!(
        (old.status, old.header("tus-version")),
        (412, Some("1.0.0"))
    );
    assert_eq!(with(&[kind, ("Upload-Offset", "0")]).await.status, 412);
    assert_eq!(
        with(&[tus, ("Content-Type", "text/plain"), ("Upload-Offset", "0")])
            .await
            .status,
        415
    );
    assert_eq!(with(&[tus, kind]).await.status, 400);
    assert_eq!(
        with(&[tus, kind, ("Upload-Offset", "-1")]).await.status,
        400
    );
    let options = ask(&club.server, "OPTIONS", "/uploads", &[], b"").await;
    assert_eq!(
        (options.status, options.header("tus-version")),
        (204, Some("1.0.0"))
    );
    assert_eq!(
        club.bob.tries(&with_file(text, upload.file_id, "n")).await,
        Some(FailureKind::NotFound),
        "it is not complete"
    );

    club.deny(text, Permissions::ATTACH_FILES).await;
    assert_eq!(
        club.bob.tries(&for_message(text, "x", 1)).await,
        Some(FailureKind::Forbidden)
    );
    assert_eq!(
        club.bob.tries(&with_file(text, upload.file_id, "n")).await,
        Some(FailureKind::Forbidden)
    );
    let voice = channel_of(&club.guild, ChannelKind::Voice);
    assert_eq!(
        club.ann.tries(&for_message(voice, "x", 1)).await,
        Some(FailureKind::InvalidParams)
    );
    let mut eve = Person::new(&club.server, "eve", &club.server.invite_code()).await;
    assert_eq!(
        eve.tries(&for_message(text, "x", 1)).await,
        Some(FailureKind::NotFound)
    );
    assert_eq!(
        eve.tries(&UploadStatus {
            file_id: upload.file_id
        })
        .await,
        Some(FailureKind::NotFound)
    );
    let many: Vec<FileId> = (0..11).map(FileId).collect();
    let many = SendMessage {
        attachments: many,
        ..SendMessage::new(text, "x", "m")
    };
    assert_eq!(
        club.ann.tries(&many).await,
        Some(FailureKind::InvalidParams)
    );
}

/// The disk fills up while a file arrives: that file is refused, and people go on writing.
#[tokio::test]
async fn a_full_disk_refuses_files_and_nothing_else() {
    let Some(disk) = SmallDisk::mount(96) else {
        eprintln!("not tried: only root may mount a small disk");
        return;
    };
    let folder = tempfile::tempdir_in(disk.0.path()).unwrap();
    let mut club = club_on(Server::start_in(
        folder,
        &["--sign-ins-per-minute", "10000"],
    ))
    .await;
    let bytes = vec![7; 12 << 20];
    let first = begin(&mut club.ann, club.text, "a", bytes.len() as u64).await;
    // Something else takes the room meanwhile.
    let filler = disk.0.path().join("filler");
    std::fs::write(&filler, vec![1; 24 << 20]).unwrap();
    let answer = patch(&club.server, &club.ann, &first.path, 0, &bytes).await;
    assert_eq!(answer.status, 507, "{answer:?}");
    assert!(String::from_utf8_lossy(&answer.body).contains("disk is full"));
    assert_eq!(
        club.ann.tries(&for_message(club.text, "b", 8 << 20)).await,
        Some(FailureKind::Unavailable)
    );
    for n in 0..20 {
        let nonce = n.to_string();
        club.bob
            .call(&SendMessage::new(club.text, "still here", nonce))
            .await
            .unwrap();
    }
    assert_eq!(
        club.ann
            .call(&ListMessages::newest(club.text))
            .await
            .unwrap()
            .messages
            .len(),
        20
    );
    std::fs::remove_file(&filler).unwrap();
    let there = offset(&club.server, &club.ann, &first.path).await;
    let rest = &bytes[usize::try_from(there).unwrap()..];
    assert_eq!(
        patch(&club.server, &club.ann, &first.path, there, rest)
            .await
            .status,
        204,
        "it goes on where it was"
    );
}

/// Of so many MiB.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(mib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mib}m");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "voxhall"])
            .arg(folder.path())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
    }
}
