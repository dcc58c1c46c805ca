//! The table of vendors: which listeners there are, under which variables they
//! are announced, and what answers on them. A vendor is added by one module
//! and its rows here.

use crate::call::{Call, Reply};
use crate::http::Host;
use crate::smtp::Relay;
use crate::world::World;
use crate::zone::Resource;
use crate::{brevo, highlevel, klaviyo, mailgun};

/// A listener for a vendor's API.
pub struct Api {
    pub variable: &'static str,
    pub host: Host,
}

/// All listeners for APIs.
pub const APIS: &[Api] = &[
    Api { variable: "KEYCTL_MAILGUN_US_URL", host: observed("mailgun-us", mailgun::us) },
    Api { variable: "KEYCTL_MAILGUN_EU_URL", host: observed("mailgun-eu", mailgun::eu) },
    Api { variable: "KEYCTL_BREVO_URL", host: observed("brevo", brevo::answer) },
    Api { variable: "KEYCTL_KLAVIYO_URL", host: observed("klaviyo", klaviyo::answer) },
    Api { variable: "KEYCTL_HIGHLEVEL_URL", host: observed("highlevel", highlevel::answer) },
];

/// An SMTP relay, with STARTTLS on one port and TLS from the start on another.
pub struct Smtp {
    pub variable: &'static str,
    pub implicit_variable: &'static str,
    pub relay: Relay,
}

/// All relays.
pub const RELAYS: &[Smtp] = &[
    Smtp {
        variable: "KEYCTL_MAILGUN_US_SMTP",
        implicit_variable: "SANDBOX_MAILGUN_US_SMTPS",
        relay: mailgun::relay::US,
    },
    Smtp {
        variable: "KEYCTL_MAILGUN_EU_SMTP",
        implicit_variable: "SANDBOX_MAILGUN_EU_SMTPS",
        relay: mailgun::relay::EU,
    },
    Smtp {
        variable: "KEYCTL_BREVO_SMTP",
        implicit_variable: "SANDBOX_BREVO_SMTPS",
        relay: brevo::relay::RELAY,
    },
];

/// What is published in the DNS under a name, by vendor.
pub const ZONES: &[fn(&World, &str) -> Vec<Resource>] = &[mailgun::published];

/// What answers below `/NAME/` of the control listener.
pub struct Control {
    pub name: &'static str,
    pub answer: fn(&mut World, &Call) -> Reply,
    /// What `GET /state` shows under the name.
    pub state: fn(&World) -> serde_json::Value,
}

/// All vendors' controls.
pub const CONTROLS: &[Control] = &[
    Control { name: "mailgun", answer: mailgun::control::answer, state: mailgun::control::state },
    Control { name: "brevo", answer: brevo::control::answer, state: brevo::control::state },
    Control { name: "klaviyo", answer: klaviyo::control::answer, state: klaviyo::control::state },
    Control { name: "highlevel", answer: highlevel::control::answer, state: highlevel::control::state },
];

/// Fills a world with what a demonstration needs, and returns the variables
/// that name its secrets.
pub type Seed = fn(&mut World) -> Vec<(String, String)>;

/// All vendors' demonstrations.
pub const SEEDS: &[Seed] =
    &[mailgun::demo::seed, brevo::demo::seed, klaviyo::demo::seed, highlevel::demo::seed];

const fn observed(name: &'static str, answer: fn(&mut World, &Call) -> Reply) -> Host {
    Host { name, answer, observed: true }
}
