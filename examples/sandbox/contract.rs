//! The vendors' contracts, as far as the sandbox speaks them: which operations
//! there are, and what a request to each may carry. The files and their reader
//! are shared with the contract test.

#[path = "../../tests/contracts/check.rs"]
mod check;

pub use check::{Aim, Contract, Operation};
use check::{Seen, Sent};

use crate::call::Call;
use crate::form::Encoding;

/// Returns what the contract forbids about a call, if anything.
pub fn violation(operation: &Operation, call: &Call) -> Option<String> {
    let body = match &call.form.encoding {
        Encoding::Urlencoded | Encoding::Multipart => Sent::Form(call.form.fields.clone()),
        Encoding::Absent | Encoding::Other(_) if call.body.is_empty() => Sent::Nothing,
        Encoding::Absent | Encoding::Other(_) => match call.json() {
            Ok(value) => Sent::Json(value),
            Err(what) => Sent::Garbage(what),
        },
    };
    operation.violation(&Seen { query: &call.query, headers: &call.headers, body })
}

/// Returns what is wrong with a credential in a place that servers log.
pub fn secret_in_target(call: &Call, secret: &str) -> Option<String> {
    let queried = call.query.iter().any(|(_, value)| value.contains(secret));
    (secret.len() >= 16 && (queried || call.path.contains(secret)))
        .then(|| "the secret stands in the URL".to_owned())
}
