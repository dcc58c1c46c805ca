//! The message that tests a key and a domain, and the addresses it goes to.

pub mod address;
pub mod message;
