//! Says on stdout that the server is ready, and how to reach it.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::Path,
};

use qrcode::{QrCode, render::unicode::Dense1x2};
use serde::Serialize;

use crate::config::AnnounceForm;

/// All that someone needs who has just started the server.
#[derive(Debug, Serialize)]
pub struct Announcement<'a> {
    /// `host:port` of TCP.
    pub address: String,
    /// `host:port` of voice.
    pub udp_address: String,
    pub invite: String,
    /// Until it was used.
    pub owner: Option<String>,
    #[serde(skip)]
    pub server_name: &'a str,
    #[serde(skip)]
    pub data: &'a Path,
}

impl Announcement<'_> {
    /// Prints and flushes. Nobody may be listening, which is no reason not to serve.
    pub fn print(&self, form: AnnounceForm) {
        let text = match form {
            AnnounceForm::Human => self.human(),
            AnnounceForm::Json => self.json(),
        };
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
        {
            tracing::warn!(%error, "can't print the invite link");
        }
    }

    fn json(&self) -> String {
        let line = serde_json::to_string(self).expect("a struct of strings");
        format!("{line}\n")
    }

    fn human(&self) -> String {
        let mut text = format!(
            "{} is ready.\n\n  Address  {} (TCP and UDP)\n  Data     {}\n\nInvite link, for everyone you want to talk to:\n\n  {}\n\n",
            self.server_name,
            self.address,
            self.data.display(),
            self.invite
        );
        if let Some(code) = qr_code(&self.invite) {
            text.push_str(&code);
            text.push('\n');
        }
        if let Some(owner) = &self.owner {
            writeln!(
                text,
                "Owner link, for yourself. It works once, and makes who opens it the owner:\n\n  {owner}\n"
            )
            .expect("writing to a string");
        }
        text.push_str("Stop with Ctrl+C.\n");
        text
    }
}

/// For a phone's camera; bright on the dark ground of most terminals.
fn qr_code(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, qrcode::EcLevel::L).ok()?;
    let picture = code
        .render::<Dense1x2>()
        // What the crate calls dark it draws with the terminal's text colour, which is the bright one.
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    Some(picture.lines().fold(String::new(), |mut lines, line| {
        lines.push_str("  ");
        lines.push_str(line);
        lines.push('\n');
        lines
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(owner: Option<&str>) -> Announcement<'_> {
        Announcement {
            address: "h:9000".into(),
            udp_address: "h:9000".into(),
            invite: "voxhall://h:9000/abcd#p".into(),
            owner: owner.map(str::to_owned),
            server_name: "Hall",
            data: Path::new("/data"),
        }
    }

    #[test]
    fn json_is_one_line_with_the_documented_fields() {
        assert_eq!(
            announcement(None).json(),
            "{\"address\":\"h:9000\",\"udp_address\":\"h:9000\",\"invite\":\"voxhall://h:9000/abcd#p\",\"owner\":null}\n"
        );
    }

    #[test]
    fn people_see_links_a_picture_and_where_the_data_is() {
        let text = announcement(Some("voxhall://h:9000/own#p")).human();
        for part in [
            "voxhall://h:9000/abcd#p",
            "voxhall://h:9000/own#p",
            "/data",
            "█",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!announcement(None).human().contains("Owner"));
        let border = text.lines().find(|line| line.contains('█')).unwrap();
        assert!(
            border.trim().chars().all(|c| c == '█'),
            "the quiet zone is bright: {border}"
        );
    }
}
