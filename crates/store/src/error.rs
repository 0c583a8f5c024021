/// The store itself failed. Nothing of the call was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error(
        "the server's disk is full or can't be written, so nothing was stored. Try again when its operator has made room"
    )]
    Full,
    #[error("another program holds the server's database, so nothing was stored. Try again")]
    Locked,
    #[error("the server's database is damaged. Its operator has to restore a backup")]
    Corrupt,
    #[error("this takes too long. Ask for less at once")]
    TooLong,
    #[error("the database failed, so nothing was stored: {0}")]
    Failed(String),
    #[error("the server is stopping, so nothing was stored. Try again when it is back")]
    Closed,
}
