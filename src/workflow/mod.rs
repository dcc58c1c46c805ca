//! What keyctl does, callable without a command line: each workflow takes a
//! plain request and returns a plain result. Verbs (`commands`) turn arguments
//! into requests and results into reports; nothing here knows of either.

pub mod account_identity;
pub mod add_key;
pub mod allowlist;
pub mod audit;
pub mod backup_archive;
pub mod checklist;
pub mod clone_key;
pub mod console_guide;
pub mod consumers;
pub mod create_announcement;
pub mod create_key;
pub mod create_testimony;
pub mod domains;
pub mod evidence;
pub mod handout;
pub mod idle_keys;
pub mod interrupt;
pub mod key_description;
pub mod key_permissions;
pub mod key_switch;
pub mod location_import;
pub mod lost_key;
pub mod managing_key;
pub mod new_key_proof;
pub mod new_key_request;
pub mod provider_failure;
pub mod remove_key;
pub mod restore_plan;
pub mod revoke_key;
pub mod rotation;
pub mod secret_input;
pub mod smtp_login;
pub mod store_secret;
pub mod test_mail;
pub mod validation;
pub mod verdict_memory;
pub mod worker_pool;
