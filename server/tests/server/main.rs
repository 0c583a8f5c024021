//! The real program, as a stranger's client meets it: started as a process, spoken to over TCP, TLS and WebSocket.

mod client;
mod fixture;

mod accounts;
mod hostile;
mod operations;
mod pages;
mod starting;
mod talking;
