//! The table of vendors: which listeners there are, under which variables they
//! are announced, and what answers on them. A vendor is added by one module
//! and its rows here.

use crate::call::{Call, Reply};
use crate::http::Host;
use crate::mailgun;
use crate::world::World;

/// A listener for a vendor's API.
pub struct Api {
    pub variable: &'static str,
    pub host: Host,
}

/// All listeners for APIs.
pub const APIS: &[Api] = &[
    Api { variable: "KEYCTL_MAILGUN_US_URL", host: observed("mailgun-us", mailgun::us) },
    Api { variable: "KEYCTL_MAILGUN_EU_URL", host: observed("mailgun-eu", mailgun::eu) },
];

/// What answers below `/NAME/` of the control listener.
pub struct Control {
    pub name: &'static str,
    pub answer: fn(&mut World, &Call) -> Reply,
    /// What `GET /state` shows under the name.
    pub state: fn(&World) -> serde_json::Value,
}

/// All vendors' controls.
pub const CONTROLS: &[Control] =
    &[Control { name: "mailgun", answer: mailgun::control::answer, state: mailgun::control::state }];

const fn observed(name: &'static str, answer: fn(&mut World, &Call) -> Reply) -> Host {
    Host { name, answer, observed: true }
}
