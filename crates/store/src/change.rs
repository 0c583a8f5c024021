/// What a committed write changed, as far as anyone has to be told.
#[derive(Debug, Clone)]
pub enum Change {
    /// A setting has a value now.
    SettingStored { key: String },
}
