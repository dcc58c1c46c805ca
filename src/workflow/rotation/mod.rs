//! The rotation engine. `preflight` and `plan` come before the first change;
//! `session` holds one rotation and takes step after step (`step_*`), each saved
//! before and after; which step is next is decided by the pure `crate::rotation`.

pub mod acknowledge;
pub mod compare_permissions;
pub mod console_instructions;
pub mod delivery_note;
pub mod due;
pub mod engine;
pub mod keep_new_key;
pub mod key_condition;
pub mod options;
pub mod owner_lock;
pub mod plan;
pub mod preflight;
pub mod provider_overlap;
pub mod record_view;
pub mod remote_keys;
pub mod same_secret;
pub mod session;
pub mod start;
pub mod step_check_use;
pub mod step_create;
pub mod step_create_pasted;
pub mod step_deploy;
pub mod step_disable;
pub mod step_retire;
pub mod step_switch;
pub mod step_test;
pub mod step_wait_for_people;
pub mod undo;
pub mod unfit;
