//! One verb per file: its `Args` (whose doc comments are its help), its `run`,
//! its `Report`. What several verbs share of one subject stands in a module
//! of that subject here, never in a drawer.

pub mod add;
pub mod allowlist;
pub mod audit;
pub mod backup;
pub mod completions;
pub mod consumer;
pub mod create;
mod delivering;
mod described;
pub mod disable;
pub mod doctor;
pub mod domains;
pub mod enable;
pub mod export;
pub mod get;
mod guiding;
mod handing;
pub mod help;
pub mod identify;
mod intake;
mod keeping;
pub mod list;
mod listing;
pub mod man;
pub mod managing;
pub mod permissions;
mod permitted;
mod proving;
mod remember;
pub mod remove;
pub mod rename;
mod reporting;
pub mod restore;
pub mod rotate;
pub mod run;
pub mod scope;
mod selectable;
pub mod send_test;
pub mod set;
pub mod show;
pub mod store;
mod switching;
mod troubled;
pub mod validate;
pub mod which;
