//! `keyctl` keeps, knows, proves, replaces and hands out the API and SMTP keys
//! of e-mail platforms.
//!
//! # Map
//! ```text
//! commands ─► workflow   what keyctl does: rotation, validation, consumers, …
//!    │           │
//!    ├───────► context ─► inventory   what is recorded (TOML, no secrets)
//!    │           ├─────► store       where secrets are (keyring, file, env)
//!    │           ├─────► provider ─► http, smtp      what vendors do; who sends
//!    │           └─────► state       what this machine remembers
//!    └─► output (reports, console)   exit (codes)
//! dns (the resolver), durable (atomic files, locks), checkpoint (crash tests)
//! key, domain, rotation, clock: the pure core below all of them
//! ```
//! Imports point downwards only; `tests/it/layering.rs` keeps it so.
//!
//! # Words
//! A *scope* is an agency or a location; a *key ref* names a key at a scope; a
//! *record* is what is known of it; a *consumer* is a place it was pasted; a
//! *verdict* is what a live check may say.

pub mod checkpoint;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod context;
pub mod dns;
pub mod domain;
pub mod durable;
pub mod exit;
pub mod http;
pub mod inventory;
pub mod key;
pub mod operator;
pub mod output;
pub mod protection;
pub mod provider;
pub mod rotation;
pub mod smtp;
pub mod state;
pub mod store;
pub mod workflow;

/// Runs the program with its arguments and returns the exit code.
pub fn run(arguments: impl Iterator<Item = std::ffi::OsString>) -> u8 {
    protection::on();
    cli::completions::answer();
    cli::run(arguments.collect()).code()
}
