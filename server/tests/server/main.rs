//! The real program, as a stranger's client meets it: started as a process, spoken to over TCP, TLS and WebSocket.

mod client;
mod fixture;
mod people;
mod voice_path;

mod accounts;
mod friends;
mod guilds;
mod files;
mod hostile;
mod moderating_voice;
mod moderation;
mod operations;
mod pages;
mod permissions;
mod ranks;
mod sign_in;
mod resuming;
mod starting;
mod strangers;
mod talking;
mod tokens;
mod text;
