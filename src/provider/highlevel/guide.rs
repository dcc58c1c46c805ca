//! The way through HighLevel's console: private integrations, and the pages
//! where a Mailgun key is pasted (help.gohighlevel.com 155000003054,
//! 48000981682, 48001209681). White labels have their own host name.

use crate::key::Kind;
use crate::provider::{ConsoleAsk, ConsoleTask, Guide, Stays};

const APP: &str = "https://app.gohighlevel.com";
const WHITE_LABEL: &str = "On a white label such as Pilotly.io, the same page is on its own host name";

pub fn console(task: ConsoleTask, ask: &ConsoleAsk<'_>) -> Option<Guide> {
    match task {
        ConsoleTask::Create => {
            Some(integration(ask, "Create new Integration", "Neue Integration erstellen", create(ask)))
        }
        ConsoleTask::Delete => Some(integration(ask, "Delete", "Löschen", delete(ask))),
        ConsoleTask::Paste => Some(paste(ask)),
        // A token is never switched off: it is rotated, or expires.
        ConsoleTask::Disable | ConsoleTask::Enable => None,
    }
}

/// Returns `/v2/location/ID` for a location whose id is known.
fn location(ask: &ConsoleAsk<'_>) -> Option<String> {
    let id = ask.account_id.filter(|_| ask.kind == Some(Kind::Location))?;
    id.bytes().all(|b| b.is_ascii_alphanumeric()).then(|| format!("/v2/location/{id}"))
}

fn integration(ask: &ConsoleAsk<'_>, action: &str, action_de: &str, steps: Vec<String>) -> Guide {
    let place = location(ask).unwrap_or_default();
    Guide {
        url: format!("{APP}{place}/settings/private-integrations"),
        path: format!("Settings › Private Integrations › {action}"),
        path_de: Some(format!("Einstellungen › Private Integrationen › {action_de}")),
        steps,
    }
}

fn level(ask: &ConsoleAsk<'_>) -> String {
    match ask.kind {
        Some(Kind::Location) => "Switch to the location's own view".to_owned(),
        _ => "Switch to the agency view".to_owned(),
    }
}

fn create(ask: &ConsoleAsk<'_>) -> Vec<String> {
    let scopes = match (ask.permissions, ask.kind) {
        ([], Some(Kind::Location)) => "locations.readonly".to_owned(),
        ([], _) => "locations.readonly, locations.write".to_owned(),
        (permissions, _) => permissions.join(", "),
    };
    let mut steps = vec![level(ask), WHITE_LABEL.to_owned()];
    let other = match ask.name {
        Some(name) => format!("reate one named `{name}`"),
        None => "reate one, named after what will use it".to_owned(),
    };
    // The id of an account is known of a token that is there already.
    if ask.remote_name.is_some() || ask.account_id.is_some() {
        let existing = ask.remote_name.map_or_else(|| "its integration".to_owned(), |it| format!("`{it}`"));
        steps.push(format!(
            "To replace a token: open {existing} and choose \"Rotate and expire later\": both tokens work for 7 days"
        ));
        steps.push(format!("Or c{other}"));
    } else {
        steps.push(format!("C{other}"));
    }
    steps.push(format!("Scopes: {scopes}"));
    steps.push("Copy the token (`pit-…`): it is shown once".to_owned());
    steps
}

fn delete(ask: &ConsoleAsk<'_>) -> Vec<String> {
    let named = ask.remote_name.or(ask.name).map(|name| format!(" (`{name}`)")).unwrap_or_default();
    let mut steps = vec![level(ask), WHITE_LABEL.to_owned()];
    // Which way the new token was made only the person knows: on the one way
    // both tokens are of one integration, and deleting it ends both.
    match ask.stays {
        Some(Stays::New) => steps.extend([
            "If the new token came from \"Rotate and expire later\": open that integration and choose \"Expire now\", \
             which ends the old token (after 7 days it has ended by itself). Do not delete the integration: \
             the new token would end with it"
                .to_owned(),
            format!("If the new token has an integration of its own: delete the old one's integration{named}"),
        ]),
        Some(Stays::Old) => steps.extend([
            "If the new token came from \"Rotate and expire later\": open that integration and cancel the rotation, \
             which ends the new token. Neither let the old one expire nor delete the integration: \
             the token in use would end"
                .to_owned(),
            format!("If the new token has an integration of its own{named}: delete that one, and no other"),
        ]),
        None => steps.extend([
            format!("Open the integration{named}"),
            "Delete it: every token of it ends, also one that was made by \"Rotate and expire later\"".to_owned(),
        ]),
    }
    steps
}

/// Where a Mailgun key goes: the agency's settings, or a location's.
fn paste(ask: &ConsoleAsk<'_>) -> Guide {
    let at_location = ask.kind == Some(Kind::Location);
    let mut steps = vec!["Switch to the agency view".to_owned(), WHITE_LABEL.to_owned()];
    if at_location {
        let which = ask.name.map_or_else(|| "the location".to_owned(), |name| format!("`{name}`"));
        steps.push(format!("Tab \"Location Settings\": the pencil at {which}"));
    } else {
        steps.push("Tab \"Domain Service\": provider Mailgun".to_owned());
    }
    steps.push(
        "Paste the private API key; the HTTP webhook signing key, which older help names, is refused"
            .to_owned(),
    );
    steps.push(match ask.domain {
        Some(domain) => format!("Choose the domain `{domain}` and save"),
        None => "Choose the domain and save".to_owned(),
    });
    if !at_location {
        steps.push("Locations with a Mailgun key of their own keep it: each is a copy".to_owned());
    }
    let (tab, tab_de) = if at_location {
        ("Location Settings", "Standort-Einstellungen")
    } else {
        ("Domain Service", "Domain-Dienst")
    };
    Guide {
        url: format!("{APP}/settings/email_services"),
        path: format!("Settings › Email Services › {tab}"),
        path_de: Some(format!("Einstellungen › E-Mail-Dienste › {tab_de}")),
        steps,
    }
}
