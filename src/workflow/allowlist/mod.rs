//! The IP allowlist of an account: read, relaxed, restored. What was saved of a
//! relaxed list stands in the state folder.

pub mod account;
pub mod change;
pub mod saved_lists;
