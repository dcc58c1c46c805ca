//! What a Mailgun key may do: its role decides, by Mailgun's table of roles
//! (documentation.mailgun.com, "RBAC management"). A role is itself a
//! permission that can be asked for.

use super::Mailgun;
use crate::key::verdict::Facts;
use crate::key::{Kind, Reason};
use crate::provider::{Call, Outcome, PermissionState, Permissions, Provider as _, Trouble};

/// The roles in the order of the table. The API calls Analyst `basic`.
const ROLES: [&str; 5] = ["admin", "basic", "developer", "support", "sending"];

/// Area and what each role may do there: `w` all, `r` read, `s` send only, `-`
/// nothing; in the order of [`ROLES`].
const AREAS: [(&str, &str); 12] = [
    ("account", "wrwr-"),
    ("allowlist", "wrwr-"),
    ("credentials", "w-r--"),
    ("domains", "wrwr-"),
    ("keys", "w-r--"),
    ("logs", "wrwr-"),
    ("mailing-lists", "wrww-"),
    ("messages", "wrwrs"),
    ("routes", "wrwr-"),
    ("suppressions", "w-ww-"),
    ("templates", "wrww-"),
    ("webhooks", "wrwr-"),
];

/// Path pieces and the area they belong to; the first that is found counts.
const PATHS: [(&str, &str); 18] = [
    ("/credentials", "credentials"),
    ("/v1/keys", "keys"),
    ("/ip_whitelist", "allowlist"),
    ("/messages", "messages"),
    ("/routes", "routes"),
    ("/analytics/", "logs"),
    ("/events", "logs"),
    ("/stats", "logs"),
    ("/tags", "logs"),
    ("/bounces", "suppressions"),
    ("/complaints", "suppressions"),
    ("/unsubscribes", "suppressions"),
    ("/whitelists", "suppressions"),
    ("/templates", "templates"),
    ("/lists", "mailing-lists"),
    ("/webhooks", "webhooks"),
    ("/domains", "domains"),
    ("/accounts", "account"),
];

/// The facet, apart from [`Mailgun`]: both have a `check`.
pub(super) struct Roles;

impl Permissions for Roles {
    fn check(
        &self,
        Call { net, credential }: Call<'_>,
        wanted: &[String],
        _: bool,
    ) -> Outcome<Vec<PermissionState>> {
        if credential.kind == Kind::Smtp {
            let detail = "an SMTP login has no role: it may send from its domain and nothing else";
            return Err(Trouble::new(Reason::PermissionNotCheckable, detail));
        }
        let judgement = Mailgun.check(net, credential);
        if !judgement.accepted() {
            let reason = judgement.reason().unwrap_or(Reason::UnexpectedResponse);
            let mut trouble = Trouble::new(reason, judgement.detail.clone());
            trouble.hint = judgement.hint;
            return Err(trouble);
        }
        let role = match credential.kind {
            Kind::Sending => Some("sending"),
            _ => judgement.facts.role.as_deref(),
        };
        Ok(states(role, wanted))
    }

    fn compare(&self, call: Call<'_>, held: &[String]) -> Outcome<Vec<PermissionState>> {
        self.check(call, held, false)
    }

    fn told(&self, facts: &Facts, wanted: &[String]) -> Option<Vec<PermissionState>> {
        facts.role.as_deref().map(|role| states(Some(role), wanted))
    }

    fn normalise(&self, name: &str) -> Result<String, String> {
        let lower = name.trim().to_ascii_lowercase().replace([' ', '_'], "-");
        let spelt = if lower == "analyst" { "basic".to_owned() } else { lower };
        if names().any(|it| it == spelt) {
            return Ok(spelt);
        }
        let known: Vec<String> = names().collect();
        let shown = crate::key::text::printable(name, 60);
        Err(format!("`{shown}` is no Mailgun role or permission; known: {}", known.join(", ")))
    }

    fn needed_for(&self, method: &str, path: &str) -> Option<Vec<String>> {
        let path =
            path.split_once("://").map_or(path, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
        let route = path.split('?').next().unwrap_or(path);
        if !["/v1/", "/v2/", "/v3/", "/v4/", "/v5/"].iter().any(|it| route.starts_with(it)) {
            return None;
        }
        let (_, area) = PATHS.iter().find(|(piece, _)| route.contains(piece))?;
        // Logs and metrics are read by POST.
        let reads = method.eq_ignore_ascii_case("GET") || route.contains("/analytics/");
        Some(vec![match (reads, *area) {
            (true, area) => format!("{area}:read"),
            (false, "messages") => "messages:send".to_owned(),
            (false, area) => format!("{area}:write"),
        }])
    }
}

/// Returns every name: the roles, then each area's permissions.
fn names() -> impl Iterator<Item = String> {
    let areas = AREAS.iter().flat_map(|(area, _)| {
        let kinds: &[&str] = if *area == "messages" { &["read", "send"] } else { &["read", "write"] };
        kinds.iter().map(move |kind| format!("{area}:{kind}"))
    });
    ROLES.iter().map(|it| (*it).to_owned()).chain(areas)
}

fn states(role: Option<&str>, wanted: &[String]) -> Vec<PermissionState> {
    let all: Vec<String>;
    let wanted = if wanted.is_empty() {
        all = names().collect();
        &all
    } else {
        wanted
    };
    wanted.iter().map(|name| state(role, name)).collect()
}

fn state(role: Option<&str>, name: &str) -> PermissionState {
    let name = Roles.normalise(name).unwrap_or_else(|_| name.to_owned());
    let role_at = role.and_then(|role| ROLES.iter().position(|it| *it == role));
    let (granted, how) = match (role, role_at) {
        (None, _) => (None, "its role could not be read (analyst and support may not read keys)".to_owned()),
        (Some(role), _) if ROLES.contains(&name.as_str()) => {
            (Some(role == name), format!("its role is {role}"))
        }
        (Some(role), None) => (None, format!("what the role {role} may do is not documented")),
        (Some(role), Some(at)) => (grants(&name, at), format!("Mailgun's table of roles, for {role}")),
    };
    PermissionState { name, granted, how, trouble: None }
}

fn grants(name: &str, role: usize) -> Option<bool> {
    let (area, kind) = name.split_once(':')?;
    let (_, row) = AREAS.iter().find(|(it, _)| *it == area)?;
    let may = row.as_bytes().get(role)?;
    Some(match kind {
        "read" => matches!(may, b'w' | b'r'),
        "send" => matches!(may, b'w' | b's'),
        _ => *may == b'w',
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(role: &str) -> Vec<String> {
        let states = states(Some(role), &[]);
        states.into_iter().filter(|it| it.granted == Some(true)).map(|it| it.name).collect()
    }

    #[test]
    fn roles_grant_what_the_table_says() {
        assert_eq!(granted("admin").len(), 1 + 2 * AREAS.len());
        assert_eq!(granted("sending"), ["sending", "messages:send"]);
        let basic = granted("basic");
        assert!(basic.contains(&"domains:read".to_owned()) && !basic.contains(&"messages:send".to_owned()));
        assert!(!basic.iter().any(|it| it.starts_with("keys:")), "{basic:?}");
        assert!(granted("developer").contains(&"keys:read".to_owned()));
        assert!(AREAS.iter().all(|(_, row)| row.len() == ROLES.len()));
        assert_eq!(state(None, "admin").granted, None);
    }

    #[test]
    fn names_and_routes_are_understood() {
        assert_eq!(Roles.normalise("Analyst").as_deref(), Ok("basic"));
        assert_eq!(Roles.normalise("mailing lists:READ").as_deref(), Ok("mailing-lists:read"));
        assert!(Roles.normalise("campaigns:read").is_err());
        let needed = |method, path| Roles.needed_for(method, path).unwrap_or_default().join(",");
        assert_eq!(needed("POST", "/v3/mg.acme.example/messages"), "messages:send");
        assert_eq!(needed("GET", "https://api.mailgun.net/v4/domains?limit=1"), "domains:read");
        assert_eq!(needed("POST", "/v1/analytics/logs"), "logs:read");
        assert_eq!(needed("DELETE", "/v1/keys/x"), "keys:write");
        assert_eq!(needed("GET", "/api/profiles"), "");
    }
}
