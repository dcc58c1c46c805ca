//! The integration tests: one binary, because linking dominates their build.
//! A file is one subject; `support` starts the sandbox and the program.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "these are tests")]

mod allowlist;
mod audit;
mod audit_online;
mod backup;
mod bad_input;
mod basics;
mod brevo;
mod budgets;
mod ci_examples;
#[cfg(unix)]
mod ci_runs;
mod contract;
mod contract_lines;
mod create;
mod create_unsettled;
mod documents;
mod domains;
mod exit_codes;
mod expect_rejected;
mod handing;
mod hidden_text;
mod highlevel;
mod house;
mod http_client;
mod identify;
mod inventory;
mod keep;
mod klaviyo;
mod layering;
mod locks;
mod max_age;
mod permissions;
mod records;
mod reports;
mod rotation;
mod sandbox;
mod sandbox_mail;
mod scale;
mod schemas;
mod scope;
mod scope_import;
mod secrecy;
mod secret_mismatch;
mod send_test;
mod smtp_injection;
mod smtp_real;
mod smtp_speaker;
mod store_command;
mod stores;
mod support;
mod tree;
mod validate;
mod vendors;
