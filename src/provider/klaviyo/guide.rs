//! The way through Klaviyo's console (help.klaviyo.com 7423954176283,
//! 51168335206299; German labels of its German help).

use super::scopes;
use crate::provider::{ConsoleAsk, ConsoleTask, Guide, Model};

/// Takes `?scopes=a:read,b:write`, colon and comma as they are.
const CREATE: &str = "https://www.klaviyo.com/create-private-api-key";
const LIST: &str = "https://www.klaviyo.com/settings/account/api-keys";

pub fn console(task: ConsoleTask, ask: &ConsoleAsk<'_>) -> Option<Guide> {
    let menu = "Settings › API keys";
    let menu_de = "Einstellungen › API-Schlüssel";
    let (url, action, action_de, steps) = match task {
        ConsoleTask::Create => {
            return Some(match ask.like.as_ref().filter(|_| ask.permissions.is_empty()) {
                Some(model) => clone(ask, model),
                None => create(ask),
            });
        }
        ConsoleTask::Disable => (LIST, "Disable", "Deaktivieren", change(ask, "disable", "can be undone")),
        ConsoleTask::Enable => (LIST, "Enable", "Aktivieren", change(ask, "enable", "works again at once")),
        ConsoleTask::Delete => (LIST, "Delete", "Löschen", change(ask, "delete", "cannot be undone")),
        ConsoleTask::Paste => return None,
    };
    Some(Guide {
        url: url.to_owned(),
        path: format!("{menu} › {action}"),
        path_de: Some(format!("{menu_de} › {action_de}")),
        steps,
    })
}

/// A clone has the scopes and the name of its model, and a value of its own;
/// the console does not rename it (help.klaviyo.com 115005062267).
fn clone(ask: &ConsoleAsk<'_>, model: &Model<'_>) -> Guide {
    let named = model.name.map(|it| format!(" `{it}`")).unwrap_or_default();
    let ending = model.last2.map(|it| format!(" that ends in `{it}`")).unwrap_or_default();
    let rename = ask.name.map(|it| format!(" to `{it}`")).unwrap_or_default();
    let mut steps: Vec<String> = in_account(ask).into_iter().collect();
    steps.push(format!("Find the key{named}{ending} (clones share a name: compare the last characters)"));
    steps.push(
        "Open its menu, choose Clone (German: Klonen) and confirm: the clone has the same scopes".to_owned(),
    );
    steps.push("Copy the new key (`pk_…`, which is the private one): it is shown once".to_owned());
    steps.push(format!(
        "The clone keeps the name. Rename it{rename} after, so that the two can be told apart: the console \
         cannot, the API can (`PATCH /api/api-keys/ID`, by a key with `credentials:write`)"
    ));
    let seen = if model.held.is_empty() {
        "the scopes it had"
    } else {
        "these scopes, and those for writing that it had"
    };
    steps.push(format!(
        "If it is not in the list any more, create one with {seen}: {}",
        prefilled(model.held)
    ));
    Guide {
        url: LIST.to_owned(),
        path: "Settings › API keys › Clone".to_owned(),
        path_de: Some("Einstellungen › API-Schlüssel › Klonen".to_owned()),
        steps,
    }
}

fn in_account(ask: &ConsoleAsk<'_>) -> Option<String> {
    ask.account_id.map(|id| format!("Check that you are in the account with the public key `{id}`"))
}

fn prefilled(scopes: &[String]) -> String {
    if scopes.is_empty() { CREATE.to_owned() } else { format!("{CREATE}?scopes={}", scopes.join(",")) }
}

fn create(ask: &ConsoleAsk<'_>) -> Guide {
    let scopes = asked(ask.permissions);
    let url = prefilled(&scopes);
    let mut steps: Vec<String> = in_account(ask).into_iter().collect();
    steps.push(match ask.name {
        Some(name) => format!("Name it `{name}`"),
        None => "Name it after the one place that will use it".to_owned(),
    });
    steps.push(if scopes.is_empty() {
        "Choose Read-only, Full or Custom: scopes cannot be changed afterwards".to_owned()
    } else {
        format!("Check that exactly these scopes are chosen: {}", scopes.join(", "))
    });
    steps.push("Create, and copy the key (`pk_…`, which is the private one): it is shown once".to_owned());
    Guide {
        url,
        path: "Settings › API keys › Create Private API Key".to_owned(),
        path_de: Some("Einstellungen › API-Schlüssel › Privaten API-Schlüssel erstellen".to_owned()),
        steps,
    }
}

/// Returns the scopes asked for, each once, in their one spelling. `read-only`
/// and `full` stand for those of the stable API.
pub fn asked(permissions: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in permissions {
        let stable = scopes::all().iter().filter(|it| it.stable);
        match word.as_str() {
            "read-only" => out.extend(stable.filter(|it| !it.writes()).map(|it| it.name.to_owned())),
            "full" => out.extend(stable.map(|it| it.name.to_owned())),
            word => out.push(scopes::normalise(word).unwrap_or_else(|_| word.to_owned())),
        }
    }
    let safe = |it: &String| it.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b':' | b'-'));
    let mut seen = std::collections::BTreeSet::new();
    out.retain(|it| safe(it) && seen.insert(it.clone()));
    out
}

fn change(ask: &ConsoleAsk<'_>, verb: &str, effect: &str) -> Vec<String> {
    let which = match ask.remote_name.or(ask.name) {
        Some(name) => {
            format!("Find the key `{name}` (clones share a name: compare the last four characters)")
        }
        None => "Find the key by its last four characters".to_owned(),
    };
    vec![which, format!("Open its menu, {verb} it and confirm: this {effect}")]
}
