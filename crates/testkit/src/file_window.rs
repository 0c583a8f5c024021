//! The desktop's window to choose a file, as programs ask for it (XDG Desktop Portal), with somebody who chooses one.

use std::{collections::HashMap, path::PathBuf, thread, time::Duration};

use pollster::block_on;
use zbus::{
    Connection, fdo, interface,
    message::Header,
    zvariant::{OwnedObjectPath, OwnedValue, Value},
};

pub const NAME: &str = "org.freedesktop.portal.Desktop";
pub const PATH: &str = "/org/freedesktop/portal/desktop";
/// Nobody chooses before the window is there, and programs don't expect it.
const CHOOSES_AFTER: Duration = Duration::from_millis(200);

/// Somebody who always chooses this file.
pub struct FileWindow(pub PathBuf);

#[interface(name = "org.freedesktop.portal.FileChooser")]
impl FileWindow {
    async fn open_file(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
        _parent_window: &str,
        _title: &str,
        options: HashMap<String, OwnedValue>,
    ) -> fdo::Result<OwnedObjectPath> {
        let wrong = |what: &str| fdo::Error::InvalidArgs(format!("no {what}"));
        let sender = header.sender().ok_or_else(|| wrong("sender"))?.to_string();
        let token = options
            .get("handle_token")
            .and_then(|token| <&str>::try_from(token).ok())
            .ok_or_else(|| wrong("handle_token"))?;
        let place = sender.trim_start_matches(':').replace('.', "_");
        let request = OwnedObjectPath::try_from(format!("{PATH}/request/{place}/{token}"))
            .map_err(|error| fdo::Error::InvalidArgs(error.to_string()))?;
        let (connection, to) = (connection.clone(), request.clone());
        let chosen = vec![format!("file://{}", self.0.display())];
        let choose = move || {
            thread::sleep(CHOOSES_AFTER);
            let answer = (0u32, HashMap::from([("uris", Value::from(chosen))]));
            let interface = "org.freedesktop.portal.Request";
            let signal =
                connection.emit_signal(Some(sender.as_str()), &to, interface, "Response", &answer);
            // Whoever asked may be gone by then.
            let _ = block_on(signal);
        };
        thread::Builder::new()
            .name("file-window".to_owned())
            .spawn(choose)
            .map_err(|error| fdo::Error::Failed(error.to_string()))?;
        Ok(request)
    }
}
