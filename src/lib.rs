//! `keyctl` keeps, knows, proves, replaces and hands out the API and SMTP keys
//! of e-mail platforms.

pub mod checkpoint;
pub mod clock;
pub mod exit;
pub mod inventory;
pub mod key;
pub mod rotation;
pub mod store;
