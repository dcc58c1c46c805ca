//! The demonstration world: an agency whose domains are in all states of
//! health, made by the control API like any other world.

use serde_json::{Value, json};

use super::control;
use crate::call::Call;
use crate::world::World;

/// Where HighLevel takes replies in (help.gohighlevel.com, 48000987293).
const INBOUND: &str = "https://services.leadconnectorhq.com/conversations/providers/mailgun/webhook/inbound";

/// The SMTP login of the demonstration.
const LOGIN: &str = "postmaster@mg.berlin.example";

/// Fills the world and returns the variables that name its secrets.
pub fn seed(world: &mut World) -> Vec<(String, String)> {
    let account = text(&post(world, "/mailgun/accounts", &json!({})), "id");
    let below = |kind: &str| format!("/mailgun/accounts/{account}/{kind}");
    for domain in domains() {
        post(world, &below("domains"), &domain);
    }
    for route in routes() {
        post(world, &below("routes"), &route);
    }
    let mut exports = Vec::new();
    for (variable, key) in keys() {
        let made = post(world, &below("keys"), &key);
        if let Some(variable) = variable {
            exports.push((variable.to_owned(), text(&made, "secret")));
        }
    }
    for (login, region) in [(LOGIN, "us"), ("postmaster@mg.wien.example", "eu")] {
        let made = post(world, &below("credentials"), &json!({"login": login, "region": region}));
        if login == LOGIN {
            exports.push(("SANDBOX_MAILGUN_SMTP_LOGIN".to_owned(), login.to_owned()));
            exports.push(("SANDBOX_MAILGUN_SMTP_PASSWORD".to_owned(), text(&made, "password")));
        }
    }
    exports
}

fn domains() -> Vec<Value> {
    let none = json!({"spf": "unknown", "dkim": "unknown", "mx": "unknown", "tracking": "unknown"});
    let sandbox = format!("sandbox{}.mailgun.org", "0123456789abcdef".repeat(2));
    vec![
        json!({"name": sandbox, "region": "us", "state": "active", "type": "sandbox", "dns": none}),
        json!({"name": "mg.berlin.example", "region": "us", "state": "active"}),
        json!({"name": "mg.paris.example", "region": "us", "state": "active", "automatic_security": true,
            "dns": {"tracking": "unknown"}}),
        json!({"name": "mg.hamburg.example", "region": "us", "state": "unverified",
            "dns": {"dkim": "unknown", "mx": "unknown", "tracking": "unknown"}}),
        json!({"name": "mg.rom.example", "region": "us", "state": "active", "is_disabled": true}),
        json!({"name": "mg.wien.example", "region": "eu", "state": "active"}),
    ]
}

fn routes() -> Vec<Value> {
    let forward = format!("forward(\"{INBOUND}\")");
    vec![
        json!({"region": "us", "priority": 99, "description": "HighLevel Route",
            "expression": "catch_all()", "actions": [forward]}),
        // Shadows the route above for one domain: its replies never arrive.
        json!({"region": "us", "priority": 0, "description": "Old shop",
            "expression": "match_recipient(\".*@mg\\.paris\\.example\")",
            "actions": ["forward(\"https://shop.paris.example/inbound\")", "stop()"]}),
    ]
}

/// Keys, some made long ago, with the variables of those that are given out.
fn keys() -> Vec<(Option<&'static str>, Value)> {
    const DAY: i64 = 86_400;
    vec![
        (
            Some("SANDBOX_MAILGUN_ADMIN_KEY"),
            json!({"role": "admin", "description": "agency", "age_seconds": 120 * DAY}),
        ),
        (Some("SANDBOX_MAILGUN_DEVELOPER_KEY"), json!({"role": "developer", "description": "reports"})),
        (
            Some("SANDBOX_MAILGUN_SENDING_KEY"),
            json!({"role": "sending", "kind": "domain", "domain_name": "mg.berlin.example",
                "description": "Berlin", "age_seconds": 200 * DAY}),
        ),
        (None, json!({"role": "basic", "description": "dashboard", "expires_in": 10 * DAY})),
    ]
}

fn post(world: &mut World, path: &str, body: &Value) -> Value {
    let call = Call::new("control", "POST", path, Vec::new(), body.to_string().into_bytes());
    let reply = control::answer(world, &call);
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    assert_eq!(reply.status, 200, "the demonstration world does not fit the control API: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}
