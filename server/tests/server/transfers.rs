//! How the tests send and fetch files.

use std::{io::Cursor, path::PathBuf};

use image::{DynamicImage, ImageFormat};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use voxhall_protocol::{
    ChannelId, FileId,
    control::{Attachment, BeginUpload, SendMessage, Upload, UploadPurpose, UploadStatus},
};

use crate::{client::tls, fixture::Server, people::Person, text::Club};

/// What a server answers over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// One request on a connection of its own.
pub async fn ask(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: server\r\nConnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    let mut stream = tls(&server.link("invite"), None).await.unwrap();
    stream
        .write_all(format!("{request}\r\n").as_bytes())
        .await
        .unwrap();
    // It may refuse before it has read everything.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a whole answer");
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        body: answer[end + 4..].to_vec(),
        head,
    }
}

pub fn bearer(person: &Person) -> String {
    format!("Bearer {}", person.token.expose())
}

pub async fn get(club: &Club, person: &Person, path: &str) -> Answer {
    ask(
        &club.server,
        "GET",
        path,
        &[("Authorization", &bearer(person))],
        b"",
    )
    .await
}

pub async fn patch(
    server: &Server,
    person: &Person,
    path: &str,
    offset: u64,
    bytes: &[u8],
) -> Answer {
    let headers = [
        ("Authorization", &*bearer(person)),
        ("Tus-Resumable", "1.0.0"),
        ("Content-Type", "application/offset+octet-stream"),
        ("Upload-Offset", &offset.to_string()),
    ];
    ask(server, "PATCH", path, &headers, bytes).await
}

pub async fn offset(server: &Server, person: &Person, path: &str) -> u64 {
    let headers = [
        ("Authorization", &*bearer(person)),
        ("Tus-Resumable", "1.0.0"),
    ];
    let answer = ask(server, "HEAD", path, &headers, b"").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.header("upload-offset").unwrap().parse().unwrap()
}

pub fn for_message(channel: ChannelId, name: &str, bytes: u64) -> BeginUpload {
    BeginUpload {
        name: name.into(),
        bytes,
        purpose: UploadPurpose::Message(channel),
    }
}

pub async fn begin(person: &mut Person, channel: ChannelId, name: &str, bytes: u64) -> Upload {
    person
        .call(&for_message(channel, name, bytes))
        .await
        .unwrap()
}

/// Announced, sent in one piece and looked at.
pub async fn upload(
    server: &Server,
    person: &mut Person,
    channel: ChannelId,
    name: &str,
    bytes: &[u8],
) -> Attachment {
    let upload = begin(person, channel, name, bytes.len() as u64).await;
    let answer = patch(server, person, &upload.path, 0, bytes).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    attachment(person, upload.file_id)
        .await
        .expect("it is complete")
}

pub async fn attachment(person: &mut Person, file_id: FileId) -> Option<Attachment> {
    person
        .call(&UploadStatus { file_id })
        .await
        .unwrap()
        .attachment
}

pub fn with_file(channel: ChannelId, file: FileId, nonce: &str) -> SendMessage {
    SendMessage {
        attachments: vec![file],
        ..SendMessage::new(channel, "", nonce)
    }
}

pub fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let pixels = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x % 256) as u8, (y % 256) as u8, 7])
    });
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(pixels)
        .write_to(&mut bytes, format)
        .unwrap();
    bytes.into_inner()
}

pub fn on_disk(club: &Club, folder: &str) -> Vec<PathBuf> {
    std::fs::read_dir(club.server.data().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}
