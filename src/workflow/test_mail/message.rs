//! The message that tests a key and a domain.

use crate::key::{Domain, KeyRef};
use crate::smtp::Message;
use crate::workflow::test_mail::address::Address;

pub const SUBJECT: &str = "keyctl test message";

/// Returns the message that tests a key and a domain.
pub fn message(key: &KeyRef, domain: &Domain, to: &Address) -> Message {
    let text = format!(
        "This is a test message. It was sent with the key {key} by keyctl, to see whether the key works and \
         the message arrives.\n"
    );
    Message {
        from: format!("keyctl-test@{domain}"),
        to: to.to_string(),
        subject: SUBJECT.to_owned(),
        text,
        headers: Vec::new(),
    }
}
