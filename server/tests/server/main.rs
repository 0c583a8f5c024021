//! The real program, as a stranger's client meets it: started as a process, spoken to over TCP, TLS and WebSocket.

mod client;
mod fixture;
mod people;
mod voice_path;

mod accounts;
mod administration;
mod carriers;
mod files;
mod friends;
mod guilds;
mod hostile;
mod moderating_voice;
mod moderation;
mod operations;
mod pages;
mod permissions;
mod ranks;
mod reading;
mod resuming;
mod sign_in;
mod stages;
mod starting;
mod strangers;
mod talking;
mod text;
mod tokens;
mod transfers;
