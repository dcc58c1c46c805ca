//! The way through Mailgun's console, which has no German labels.

use crate::http::segment;
use crate::key::Kind;
use crate::provider::{ConsoleAsk, ConsoleTask, Guide};

/// Account keys (help article 203380100).
const KEYS: &str = "https://app.mailgun.com/settings/api_security";
/// Sending keys and SMTP logins of a domain.
const DOMAINS: &str = "https://app.mailgun.com/mg/sending/domains";

pub(super) fn guide(task: ConsoleTask, ask: &ConsoleAsk<'_>) -> Option<Guide> {
    let kind = ask.kind.unwrap_or(Kind::Account);
    let named = ask.name.or(ask.remote_name).unwrap_or("keyctl");
    let (url, path) = place(kind, ask);
    let steps = match (task, kind) {
        (ConsoleTask::Create, Kind::Smtp) => vec![
            "Press `Add new SMTP user`".to_owned(),
            "Choose a login name and let Mailgun make the password".to_owned(),
            "Copy the password: it is shown once".to_owned(),
        ],
        (ConsoleTask::Create, Kind::Sending) => vec![
            "Press `Add sending key`".to_owned(),
            format!("Enter the description `{named}`"),
            "Copy the key: it is shown once".to_owned(),
        ],
        (ConsoleTask::Create, _) => vec![
            "Press `Add new key`".to_owned(),
            format!("Enter the description `{named}` and choose the role"),
            "Copy the key: it is shown once".to_owned(),
        ],
        (ConsoleTask::Delete, Kind::Smtp) => vec![
            "Find the login and press `Delete`; `postmaster` cannot be deleted, only its password reset"
                .to_owned(),
        ],
        (ConsoleTask::Delete, _) => vec![format!("Find `{named}` by its id and press the bin at its end")],
        // Mailgun has no way to switch a key off or on.
        (ConsoleTask::Disable | ConsoleTask::Enable | ConsoleTask::Paste, _) => return None,
    };
    Some(Guide { url, path, path_de: None, steps })
}

fn place(kind: Kind, ask: &ConsoleAsk<'_>) -> (String, String) {
    let domain = ask.domain.map(|it| segment(it.as_str()));
    let (tab, last) = match kind {
        Kind::Sending => ("keys", "Sending keys"),
        Kind::Smtp => ("smtp", "SMTP credentials"),
        _ => return (KEYS.to_owned(), "Account menu › API Security › API keys".to_owned()),
    };
    let shown = ask.domain.map_or_else(|| "the domain".to_owned(), ToString::to_string);
    let path = format!("Send › Sending › Domain settings › {shown} › {last}");
    match domain {
        Some(domain) => (format!("https://app.mailgun.com/mg/sending/{domain}/settings?tab={tab}"), path),
        None => (DOMAINS.to_owned(), path),
    }
}
