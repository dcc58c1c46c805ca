//! The route that hands replies to HighLevel's Conversations, and what may
//! stand before it.

use super::check::Check;
use crate::provider::InboundRoute;

/// Where HighLevel forwards replies to its Conversations: the path, and the
/// hosts seen (HighLevel's help, "How to setup Replies in MailGun", 48000987293).
const INBOUND_PATH: &str = "/conversations/providers/mailgun/webhook/inbound";
const INBOUND_HOSTS: [&str; 2] = ["services.leadconnectorhq.com", "services.msgsndr.com"];
const INBOUND_URL: &str =
    "https://services.leadconnectorhq.com/conversations/providers/mailgun/webhook/inbound";

/// Returns whether a route hands replies to HighLevel.
fn to_highlevel(route: &InboundRoute) -> Option<bool> {
    let action = route.actions.iter().find(|it| it.contains(INBOUND_PATH))?;
    Some(INBOUND_HOSTS.iter().any(|host| action.contains(&format!("//{host}/"))))
}

fn shown(route: &InboundRoute) -> String {
    format!("{} → {} (priority {})", route.expression, route.actions.join(", "), route.priority)
}

/// Says whether replies reach HighLevel.
pub fn reply_route(matching: Option<&InboundRoute>) -> Check {
    let create = || {
        format!(
            "replies do not reach HighLevel's Conversations: save key and domain in HighLevel again, or create the route \
             catch_all() → forward(\"{INBOUND_URL}\") with priority 99 in Mailgun under Receiving › Routes"
        )
    };
    let expected = "a route that forwards to HighLevel";
    match matching {
        None => Check::of("inbound-route", false, "no route takes mail for the domain", expected, create),
        Some(route) => match to_highlevel(route) {
            Some(true) => Check::of("inbound-route", true, shown(route), expected, String::new),
            Some(false) => Check {
                fix: Some("the path is HighLevel's, the host is not one that is known: check that it is your white label's".to_owned()),
                ..Check::of("inbound-route", true, shown(route), expected, String::new)
            },
            None => Check::of("inbound-route", false, shown(route), expected, create),
        },
    }
}

/// The route that takes the mail must be HighLevel's own; one of lower
/// priority number that stops, or takes everything, comes before it.
pub fn not_shadowed(matching: Option<&InboundRoute>, routes: &[InboundRoute]) -> Check {
    let expected = "nothing before HighLevel's route";
    let Some(own) = routes.iter().filter(|it| to_highlevel(it).is_some()).min_by_key(|it| it.priority) else {
        return Check::unknown("route-not-shadowed", "there is no route to HighLevel", "see inbound-route");
    };
    let before = matching.filter(|it| it.id != own.id && it.priority < own.priority);
    let before = before.or_else(|| {
        routes.iter().find(|it| {
            it.priority < own.priority
                && it.id != own.id
                && (it.expression.trim() == "catch_all()"
                    || it.actions.iter().any(|action| action.trim() == "stop()"))
        })
    });
    let found = before.map_or_else(|| shown(own), shown);
    Check::of("route-not-shadowed", before.is_none(), found, expected, || {
        format!("give that route a larger priority number than {}, or remove it", own.priority)
    })
}
