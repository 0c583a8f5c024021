//! What a browser sees.

use serde_json::Value;

use crate::{
    client::{Client, http},
    fixture::Server,
};

#[tokio::test]
async fn health_is_json() {
    let server = Server::start();
    let (status, answer) = http(&server, "/health").await;
    assert_eq!(status, 200);
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["status"], "ok");
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
    assert!(body["uptime_s"].is_u64());
}

#[tokio::test]
async fn an_invite_page_leads_into_the_app() {
    let server = Server::start_with(&["--server-name", "Tom & <Jerry>"]);
    let (_ann, _) = Client::guest(&server, "ann").await;
    let (status, page) = http(&server, &format!("/invite/{}", server.invite_code())).await;
    assert_eq!(status, 200);
    assert!(page.contains("Tom &amp; &lt;Jerry&gt;"), "{page}");
    assert!(page.contains("1 online"), "{page}");
    let link = server.said["invite"].as_str().unwrap();
    assert!(page.contains(&format!("href=\"{link}\"")), "{page}");
    assert!(page.contains("content-security-policy: default-src 'none'"));
    assert!(!page.contains("<script"));
    let (_, style) = http(&server, "/style.css").await;
    assert!(style.contains("content-type: text/css") && style.contains("prefers-color-scheme"));
}

#[tokio::test]
async fn pages_that_are_not_there_say_so_kindly() {
    let server = Server::start();
    for (path, code, words) in [
        ("/invite/no-such-code", 404, "not known here"),
        ("/invite/%00%ff", 400, ""),
        ("/nothing", 404, "Nothing here"),
        ("/ws", 426, "Voxhall app"),
    ] {
        let (status, page) = http(&server, path).await;
        assert_eq!(status, code, "{path}: {page}");
        assert!(page.contains(words), "{path}: {page}");
    }
    let owner = server.link("owner").code.unwrap();
    let mut client = Client::greeted(&server).await;
    client.sign_in_guest("ann", &owner).await.unwrap();
    let (status, page) = http(&server, &format!("/invite/{owner}")).await;
    assert_eq!(status, 410);
    assert!(page.contains("used up"), "{page}");
    let (status, page) = http(&server, "/").await;
    assert_eq!(status, 200);
    assert!(page.contains("invite link"), "{page}");
}
