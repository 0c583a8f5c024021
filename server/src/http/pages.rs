//! What a browser sees.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Extension, Path, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::json;
use voxhall_protocol::control::{Failure, FailureKind, InvitePreview};

use super::Peer;
use crate::services::Services;

const STYLE: &str = include_str!("style.css");
const GET_THE_APP: &str = "<p class=\"note\">No app yet? Build it from the project's source with one command, \
    <code>scripts/run</code>. Then open this link again, or paste it into the app.</p>";

pub async fn health(State(services): State<Arc<Services>>) -> Response {
    let voice = services.voice_is_running();
    let (code, status) = if voice {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "voice stopped")
    };
    let body = json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": services.uptime().as_secs(),
    });
    (code, Json(body)).into_response()
}

pub async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

pub async fn index(State(services): State<Arc<Services>>) -> Html<String> {
    let name = escape(&services.server_name);
    page(
        &services.server_name,
        &format!(
            "<h1>{name}</h1><p class=\"lead\">This is a Voxhall server, and it is running.</p>\
             <p>To talk here you need the Voxhall app and an invite link from someone who is here.</p>"
        ),
    )
}

pub async fn not_found() -> Response {
    let body = "<h1>Nothing here</h1><p>This Voxhall server has no such page. Check the link.</p>";
    (StatusCode::NOT_FOUND, page("Nothing here", body)).into_response()
}

pub async fn invite(
    State(services): State<Arc<Services>>,
    Extension(peer): Extension<Peer>,
    Path(code): Path<String>,
) -> Response {
    match services.inspect_invite(peer.source, &code).await {
        Ok(preview) => invited(&preview, &services.link(&code).to_string()).into_response(),
        Err(failure) => refused(&failure),
    }
}

fn invited(preview: &InvitePreview, link: &str) -> Html<String> {
    let guild = escape(&preview.guild_name);
    let link = escape(link);
    let (members, online) = (preview.members, preview.online);
    let (does, button) = if preview.makes_owner {
        ("makes you the owner of", "Open in Voxhall and own it")
    } else {
        ("invites you to", "Open in Voxhall")
    };
    let people = if members == 1 { "member" } else { "members" };
    let body = format!(
        "<p class=\"over\">This link {does}</p>\
         <h1>{guild}</h1>\
         <p class=\"lead\"><span class=\"dot\"></span>{online} online <span class=\"dim\">· {members} {people}</span></p>\
         <p><a class=\"button\" href=\"{link}\">{button}</a></p>\
         <p class=\"label\">Or copy the link into the app:</p>\
         <code class=\"link\" tabindex=\"0\">{link}</code>\
         {GET_THE_APP}"
    );
    page(&preview.guild_name, &body)
}

fn refused(failure: &Failure) -> Response {
    let (code, title) = match failure.kind() {
        FailureKind::InviteExpired => (StatusCode::GONE, "This invite has expired"),
        FailureKind::InviteUsedUp => (StatusCode::GONE, "This invite is used up"),
        FailureKind::InviteUnknown => (StatusCode::NOT_FOUND, "This invite is not known here"),
        FailureKind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "One moment, please"),
        _ => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "The server has a problem",
        ),
    };
    let body = format!("<h1>{title}</h1><p>{}</p>", escape(&failure.message));
    (code, page(title, &body)).into_response()
}

/// `title` is plain text, `body` is HTML.
fn page(title: &str, body: &str) -> Html<String> {
    let title = escape(title);
    Html(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\">\
         <title>{title} · Voxhall</title><link rel=\"stylesheet\" href=\"/style.css\"></head>\
         <body><main>{body}</main><footer>Voxhall</footer></body></html>\n"
    ))
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_text() {
        let preview = InvitePreview {
            guests: true,
            server_name: "s".into(),
            guild_name: "<script>alert('x')</script>".into(),
            members: 1,
            online: 0,
            makes_owner: false,
        };
        let Html(html) = invited(&preview, "voxhall://h:9000/abcd#p");
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{html}");
        assert!(html.contains("1 member<"), "{html}");
        assert!(html.contains("href=\"voxhall://h:9000/abcd#p\""), "{html}");
    }
}
