//! The way of replies into HighLevel: the inbound route, what shadows it, and
//! the one location that mail of strangers can be told to.

use crate::inventory::Inventory;
use crate::key::{Domain, Region, Scope};
use crate::provider::{Credential, Inbound, InboundRoute, Net, Trouble};
use crate::workflow::checklist::Check;
use crate::workflow::worker_pool;

/// Where HighLevel takes replies in (help.gohighlevel.com, 48000987293); its
/// own host and that of its white labels.
const FORWARD: &str = "https://services.leadconnectorhq.com/conversations/providers/mailgun/webhook/inbound";
const PATH: &str = "/conversations/providers/mailgun/webhook/inbound";
const HOSTS: [&str; 2] = ["services.leadconnectorhq.com", "services.msgsndr.com"];
/// The priority HighLevel gives its route.
const PRIORITY: i64 = 99;
/// The most locations that are named.
const MOST: usize = 5;

/// The inbound routes of one region.
pub struct Routes {
    /// The one that takes mail for an address of the domain.
    matched: Option<InboundRoute>,
    all: Vec<InboundRoute>,
}

impl Routes {
    /// Asks for both at the same time.
    ///
    /// # Errors
    /// When one of them could not be told.
    pub fn ask(
        inbound: &dyn Inbound,
        net: &Net<'_>,
        credential: &Credential<'_>,
        domain: &Domain,
        region: Region,
    ) -> Result<Self, Trouble> {
        let address = format!("keyctl-probe@{domain}");
        let (matched, all) = std::thread::scope(|scope| {
            let all = scope.spawn(|| inbound.list(net.by(credential), region));
            (inbound.matching(net.by(credential), &address, region), worker_pool::joined(all))
        });
        Ok(Self { matched: matched?, all: all? })
    }
}

/// There is a route into HighLevel, and it takes mail for the domain.
pub fn inbound_route(routes: &Result<Routes, Trouble>, domain: &Domain) -> Check {
    let id = "inbound-route";
    let routes = match routes {
        Ok(routes) => routes,
        Err(trouble) => return Check::troubled(id, trouble),
    };
    let expected = format!("forward to {FORWARD}");
    let create = format!(
        "create it in Mailgun's console: Send › Receiving › Create route: expression `catch_all()`, forward \
         `{FORWARD}`, priority {PRIORITY}"
    );
    let check = match (&routes.matched, into_highlevel(routes)) {
        (Some(matched), Some(own)) if matched.id == own.id => known_host(own),
        (_, Some(own)) if takes_all(own) => known_host(own),
        (_, Some(own)) => Check::unclear(id).found(told(own)).fix(format!(
            "whether it takes mail for {domain} cannot be told, as another route comes first; `catch_all()` would"
        )),
        (Some(matched), None) => Check::fail(id).found(told(matched)).fix(create),
        (None, None) => Check::fail(id).found("no route takes mail for the domain").fix(create),
    };
    check.expected(expected)
}

fn known_host(route: &InboundRoute) -> Check {
    let id = "inbound-route";
    let known = route.actions.iter().any(|it| target(it).is_some_and(|(host, _)| HOSTS.contains(&host)));
    if known {
        return Check::pass(id).found(told(route));
    }
    Check::unclear(id).found(told(route)).fix(format!(
        "the host is none of HighLevel's known ones ({}); a white label may have its own: compare with what it \
         says",
        HOSTS.join(", ")
    ))
}

/// No route that is asked earlier stops mail on its way.
pub fn not_shadowed(routes: &Result<Routes, Trouble>, domain: &Domain) -> Check {
    let id = "route-not-shadowed";
    let routes = match routes {
        Ok(routes) => routes,
        Err(trouble) => return Check::troubled(id, trouble),
    };
    let Some(own) = into_highlevel(routes) else {
        return Check::unclear(id).found("there is no route into HighLevel to be shadowed");
    };
    let Some(first) = routes.matched.as_ref().filter(|it| it.id != own.id) else {
        return Check::pass(id).found(told(own));
    };
    // A route without `stop()` lets mail pass on to those after it.
    let between = |route: &&InboundRoute| {
        stops(route) && route.priority >= first.priority && route.priority < own.priority
    };
    let stopping = routes.all.iter().filter(between);
    let shadow = Some(first).filter(|it| stops(it)).or_else(|| stopping.clone().find(|it| takes_all(it)));
    if let Some(shadow) = shadow {
        return Check::fail(id).found(told(shadow)).fix(format!(
            "its `stop()` keeps mail from the route into HighLevel (priority {}): delete it in Mailgun's console \
             (Send › Receiving), narrow it, or give it a higher priority number",
            own.priority
        ));
    }
    let named = |route: &&InboundRoute| route.expression.replace('\\', "").contains(domain.as_str());
    match stopping.clone().find(named) {
        Some(doubtful) => Check::unclear(id)
            .found(told(doubtful))
            .fix("whether its expression meets the address cannot be told from here; look at it"),
        None => Check::pass(id).found(format!("{}, which lets mail pass on", told(first))),
    }
}

/// At most one location uses the domain: mail of strangers is told to a
/// location by its domain (help.gohighlevel.com, 48001185801).
pub fn unique_location(inventory: &Inventory, domain: &Domain) -> Check {
    let id = "unique-location";
    let users = locations(inventory, domain);
    let named = |scopes: &[Scope]| {
        let shown: Vec<String> = scopes.iter().take(MOST).map(|it| format!("`{it}`")).collect();
        let more = scopes.len().saturating_sub(MOST);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{rest}", shown.join(", "))
    };
    let check = match users.as_slice() {
        [] => Check::pass(id).found("recorded at no location"),
        [one] => Check::pass(id).found(format!("`{one}`")),
        several => Check::fail(id).found(named(several)).fix(
            "give each location a subdomain of its own: replies still find their way, but new mail from strangers \
             is lost",
        ),
    };
    check.expected("at most one location")
}

/// Returns the locations that use the domain: recorded there, or at their agency.
pub fn locations(inventory: &Inventory, domain: &Domain) -> Vec<Scope> {
    inventory
        .scopes()
        .map(|(scope, _)| scope)
        .filter(|scope| scope.location.is_some() && !inventory.sends_elsewhere(scope))
        .filter(|scope| inventory.domain_at(scope).is_some_and(|(held, _)| held == *domain))
        .collect()
}

fn into_highlevel(routes: &Routes) -> Option<&InboundRoute> {
    let forwards = |route: &&InboundRoute| route.actions.iter().any(|it| target(it).is_some());
    let matched = routes.matched.as_ref().filter(forwards);
    matched.or_else(|| routes.all.iter().filter(forwards).min_by_key(|it| it.priority))
}

/// Returns host and path of a `forward("https://…")` into HighLevel.
fn target(action: &str) -> Option<(&str, &str)> {
    let inside = action.trim().strip_prefix("forward(")?.strip_suffix(')')?;
    let url = inside.trim().trim_matches(['"', '\'']);
    let (host, path) = url.strip_prefix("https://")?.split_once('/')?;
    let at = url.len() - path.len() - 1;
    url[at..].trim_end_matches('/').ends_with(PATH).then_some((host, path))
}

fn stops(route: &InboundRoute) -> bool {
    route.actions.iter().any(|it| it.trim().starts_with("stop("))
}

fn takes_all(route: &InboundRoute) -> bool {
    route.expression.trim() == "catch_all()"
}

fn told(route: &InboundRoute) -> String {
    format!("priority {}: {} → {}", route.priority, route.expression, route.actions.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_into_highlevel_is_known_by_its_path() {
        let of = |host: &str| format!("forward(\"https://{host}{PATH}\")");
        assert_eq!(target(&of("services.msgsndr.com")).map(|it| it.0), Some("services.msgsndr.com"));
        assert_eq!(target(&of("crm.agency.example")).map(|it| it.0), Some("crm.agency.example"));
        assert_eq!(target("forward(\"https://shop.example/inbound\")"), None);
        assert_eq!(target("stop()"), None);
    }
}
