//! Plain tables for people.

use std::fmt::Display;

/// One row: a figure, its value, and what it is held against.
pub fn row(name: &str, value: impl Display, beside: impl Display) {
    println!("  {name:<34}{value:>14}  {beside}");
}

pub fn heading(text: impl Display) {
    println!("\n{text}");
}
