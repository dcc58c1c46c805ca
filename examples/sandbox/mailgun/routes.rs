//! `/v3/routes`: what happens to incoming mail, per account and region.

use regex::RegexBuilder;
use serde_json::{Value, json};

use super::model::Route;
use super::{Visit, page};
use crate::call::Reply;
use crate::{chance, moment};

/// `GET /v3/routes`
pub fn list(visit: &mut Visit) -> Reply {
    let (limit, skip) = match page(visit.call, "The 'limit' parameter can't be larger than 1000") {
        Ok(page) => page,
        Err(reply) => return reply,
    };
    let routes = ordered(visit);
    let items: Vec<Value> = routes.iter().skip(skip).take(limit).map(shown).collect();
    Reply::json(200, &json!({"total_count": routes.len(), "items": items}))
}

/// `GET /v3/routes/match`: the first route, by priority, an address meets.
pub fn matching(visit: &mut Visit) -> Reply {
    let address = visit.call.query("address").unwrap_or_default().to_owned();
    answer(ordered(visit).iter().find(|route| matches(&route.expression, &address)))
}

/// `GET /v3/routes/{id}`
pub fn show(visit: &mut Visit) -> Reply {
    let id = visit.parameter(0).to_owned();
    answer(ordered(visit).iter().find(|route| route.id == id))
}

/// `POST /v3/routes`
pub fn create(visit: &mut Visit) -> Reply {
    let form = &visit.call.form;
    let field = |name: &str| form.filled(name).unwrap_or_default().to_owned();
    let route = Route {
        id: chance::hex(24),
        region: visit.region,
        priority: form.filled("priority").and_then(|it| it.parse().ok()).unwrap_or(0),
        description: field("description"),
        expression: field("expression"),
        actions: form.all("action").map(str::to_owned).collect(),
        created: visit.now,
    };
    let body = json!({"message": "Route has been created", "route": shown(&route)});
    visit.account().routes.push(route);
    Reply::json(200, &body)
}

/// `DELETE /v3/routes/{id}`
pub fn delete(visit: &mut Visit) -> Reply {
    let (id, region) = (visit.parameter(0).to_owned(), visit.region);
    let routes = &mut visit.account().routes;
    let before = routes.len();
    routes.retain(|route| route.id != id || route.region != region);
    if routes.len() == before {
        return not_found();
    }
    Reply::json(200, &json!({"message": "Route has been deleted", "id": id}))
}

fn ordered(visit: &mut Visit) -> Vec<Route> {
    let region = visit.region;
    let mut routes: Vec<Route> =
        visit.account().routes.iter().filter(|route| route.region == region).cloned().collect();
    routes.sort_by_key(|route| route.priority);
    routes
}

fn answer(route: Option<&Route>) -> Reply {
    match route {
        Some(route) => Reply::json(200, &json!({"route": shown(route)})),
        None => not_found(),
    }
}

fn not_found() -> Reply {
    Reply::json(404, &json!({"message": "Route not found"}))
}

fn shown(route: &Route) -> Value {
    json!({
        "id": route.id, "priority": route.priority, "description": route.description,
        "expression": route.expression, "actions": route.actions, "created_at": moment::gmt(route.created),
    })
}

/// Whether mail to an address meets an expression. A `match_header` cannot be
/// met: there is only an address.
fn matches(expression: &str, address: &str) -> bool {
    let expression = expression.trim();
    if let Some((first, second)) = expression.split_once(" and ") {
        return matches(first, address) && matches(second, address);
    }
    if expression == "catch_all()" {
        return true;
    }
    let inside = expression.strip_prefix("match_recipient(").and_then(|it| it.strip_suffix(')'));
    let Some(pattern) = inside.map(|it| it.trim().trim_matches(['"', '\''])) else { return false };
    // Patterns are matched from the start of the address.
    let anchored = format!("^(?:{pattern})");
    RegexBuilder::new(&anchored).case_insensitive(true).build().is_ok_and(|it| it.is_match(address))
}
