//! The way through Brevo's console (help.brevo.com 40159485019794,
//! 7959631848850; German labels of its German help).

use crate::clock::spoken;
use crate::key::Kind;
use crate::provider::{ConsoleAsk, ConsoleTask, Guide};

const API_PAGE: &str = "https://app.brevo.com/settings/keys/api";
const SMTP_PAGE: &str = "https://app.brevo.com/settings/keys/smtp";

pub fn console(task: ConsoleTask, ask: &ConsoleAsk<'_>) -> Option<Guide> {
    let smtp = ask.kind == Some(Kind::Smtp);
    let (page, tab, tab_de) = if smtp {
        (SMTP_PAGE, "Settings › SMTP & API › SMTP", "Einstellungen › SMTP & API › SMTP")
    } else {
        let german = "Einstellungen › SMTP & API › API-Schlüssel & MCP";
        (API_PAGE, "Settings › SMTP & API › API Keys & MCP", german)
    };
    let (action, action_de, steps) = match task {
        ConsoleTask::Create if smtp => {
            ("Generate a new SMTP key", "Einen neuen SMTP-Schlüssel generieren", create_smtp(ask))
        }
        ConsoleTask::Create => ("Generate API key", "Einen neuen API-Schlüssel generieren", create_api(ask)),
        ConsoleTask::Disable => {
            ("Deactivate", "Deaktivieren", change(ask, "deactivate", "this can be undone"))
        }
        ConsoleTask::Enable => ("Activate", "Aktivieren", change(ask, "activate", "it works again at once")),
        ConsoleTask::Delete => ("Delete", "Löschen", change(ask, "delete", "this cannot be undone")),
        ConsoleTask::Paste => return None,
    };
    Some(Guide {
        url: page.to_owned(),
        path: format!("{tab} › {action}"),
        path_de: Some(format!("{tab_de} › {action_de}")),
        steps,
    })
}

fn naming(ask: &ConsoleAsk<'_>) -> String {
    match ask.name {
        Some(name) => format!("Name it `{name}`"),
        None => "Name it after the one place that will use it".to_owned(),
    }
}

fn expiry(ask: &ConsoleAsk<'_>) -> String {
    match ask.expires_in {
        Some(span) => format!("Choose the expiry: {}", spoken(span.seconds)),
        None => "Choose an expiry (7 days to 1 year, or none)".to_owned(),
    }
}

fn create_api(ask: &ConsoleAsk<'_>) -> Vec<String> {
    let mut steps = vec!["Enter the verification code Brevo sends you".to_owned(), naming(ask), expiry(ask)];
    steps.push(match ask.permissions {
        [] => "Access: Restricted is enough with the permissions needed; Full allows everything".to_owned(),
        permissions => format!("Access: Restricted, with {}", permissions.join(", ")),
    });
    steps.push("Leave \"Create MCP server API key\" off: it would deactivate the ordinary key".to_owned());
    steps.push("Generate, and copy the key (`xkeysib-…`): it is shown once".to_owned());
    steps
}

fn create_smtp(ask: &ConsoleAsk<'_>) -> Vec<String> {
    vec![
        naming(ask),
        "Variant: Standard (Short is for programs that cut long passwords)".to_owned(),
        expiry(ask),
        "Generate, and copy the key (`xsmtpsib-…`): it is shown once".to_owned(),
        "Note the SMTP login on the same page; do not regenerate it".to_owned(),
    ]
}

fn change(ask: &ConsoleAsk<'_>, verb: &str, effect: &str) -> Vec<String> {
    let which = match ask.remote_name.or(ask.name) {
        Some(name) => format!("Find the key `{name}` (its last characters are shown)"),
        None => "Find the key by its name and last characters".to_owned(),
    };
    vec![which, format!("Open its menu, {verb} it and confirm: {effect}")]
}
