//! The relay driven by real clients' sealers, openers and path clients, on a clock of its own.

mod forwarding;
mod loudest;
mod model;
mod no_alloc;
mod paths;
mod reports;
mod strangers;
mod world;

#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;
