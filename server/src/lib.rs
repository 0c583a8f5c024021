//! The headless server of Voxhall: what `voxhall-server` runs.

pub mod live;
