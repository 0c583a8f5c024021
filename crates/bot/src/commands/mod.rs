//! One file for each family of commands.

pub mod account;
pub mod admin;
pub mod call;
pub mod channel;
pub mod guild;
pub mod live;
pub mod people;
pub mod stage;
pub mod text;
pub mod voice;

use anyhow::Context;
use voxhall_protocol::SecretText;

/// Passwords come in environment variables: what stands on a command line, everyone on the machine can read.
fn secret(variable: &str) -> anyhow::Result<SecretText> {
    let text = std::env::var(variable)
        .with_context(|| format!("the environment variable {variable} holds no password"))?;
    Ok(SecretText(text))
}
