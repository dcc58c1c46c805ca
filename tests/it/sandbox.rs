//! The sandbox itself: it is what many other tests are measured by.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::sandbox::{RawReply, Sandbox, exchange, try_exchange};

const FORM: &str = "application/x-www-form-urlencoded";

fn basic(secret: &str) -> String {
    let pair = ["api:", secret].concat();
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// Calls a Mailgun host with a key; a body is sent as an urlencoded form.
fn call(sandbox: &Sandbox, region: &str, secret: &str, request: &str, body: &str) -> RawReply {
    let url = sandbox.export(&format!("KEYCTL_MAILGUN_{region}_URL"));
    let (method, path) = request.split_once(' ').unwrap();
    let authorization = basic(secret);
    let mut headers = vec![("authorization", authorization.as_str())];
    if !body.is_empty() {
        headers.push(("content-type", FORM));
    }
    exchange(url, method, path, &headers, body)
}

#[test]
fn keys_are_global_and_domains_regional() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let admin = sandbox.mailgun_key(&account, "admin");
    sandbox.domain(&account, "us", "mg.one.example", "active");
    sandbox.domain(&account, "us", "mg.two.example", "unverified");
    sandbox.domain(&account, "eu", "mg.three.example", "active");
    assert!(admin.secret.ends_with(&format!("-{}", admin.id)));

    let us = call(&sandbox, "US", &admin.secret, "GET /v4/domains?limit=1", "");
    assert_eq!(us.status, 200);
    assert_eq!(us.header("x-mailgun-key-id"), Some(admin.id.as_str()));
    assert_eq!(us.json()["total_count"], 2);
    assert_eq!(us.json()["items"][0]["name"], "mg.two.example", "newest first");
    let eu = call(&sandbox, "EU", &admin.secret, "GET /v4/domains", "");
    assert_eq!(eu.json()["items"][0]["name"], "mg.three.example");

    let wrong = call(&sandbox, "US", "nonsense", "GET /v4/domains", "");
    assert_eq!((wrong.status, wrong.json()), (401, json!({"message": "Invalid private key"})));
    assert_eq!(wrong.header("www-authenticate"), Some("Basic realm=\"MG API\""));
    assert_eq!(wrong.header("x-mailgun-key-id"), None);
}

#[test]
fn a_key_is_made_used_and_deleted() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let admin = sandbox.mailgun_key(&account, "admin");
    sandbox.domain(&account, "us", "mg.one.example", "active");
    sandbox.settings(&account, json!({"death_delay_ms": 60_000, "birth_delay_ms": 60_000, "key_limit": 2}));

    let form = "role=sending&kind=domain&domain_name=mg.one.example&expiration=86400";
    let made = call(&sandbox, "US", &admin.secret, "POST /v1/keys", form).json();
    let (secret, id) = (made["key"]["secret"].as_str().unwrap(), made["key"]["id"].as_str().unwrap());
    let probe = |status| {
        let reply = call(&sandbox, "US", secret, "POST /v3/mg.one.example/messages", "");
        assert_eq!(reply.status, status, "{}", reply.body);
        reply
    };
    probe(401);
    sandbox.clock(61);
    assert_eq!(probe(400).json()["message"], "from parameter is missing");
    let full = call(&sandbox, "US", &admin.secret, "POST /v1/keys", "role=admin");
    assert_eq!(
        (full.status, &full.json()["message"]),
        (403, &json!("could not create key, account limit reached"))
    );

    let elsewhere = call(&sandbox, "US", secret, "GET /v4/domains", "");
    assert_eq!(elsewhere.status, 401, "a sending key sends, and nothing else");
    let delete = format!("DELETE /v1/keys/{id}");
    assert_eq!(call(&sandbox, "US", &admin.secret, &delete, "").json()["message"], "key deleted");
    assert_eq!(call(&sandbox, "US", &admin.secret, &delete, "").json()["message"], "no key matching id");
    probe(400);
    sandbox.clock(122);
    assert_eq!(probe(401).body, "Forbidden");
}

#[test]
fn roles_may_what_the_table_says() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    sandbox.domain(&account, "us", "mg.one.example", "active");
    let developer = sandbox.mailgun_key(&account, "developer").secret;
    let analyst = sandbox.mailgun_key(&account, "basic").secret;
    let status = |secret: &str, request: &str, body: &str| call(&sandbox, "US", secret, request, body).status;
    assert_eq!(status(&developer, "GET /v1/keys", ""), 200);
    assert_eq!(status(&developer, "POST /v1/keys", "role=admin"), 403);
    assert_eq!(status(&analyst, "GET /v1/keys", ""), 403);
    assert_eq!(status(&analyst, "GET /v4/domains", ""), 200);
    assert_eq!(status(&analyst, "POST /v3/mg.one.example/messages", "from=a"), 403);
    sandbox.settings(&account, json!({"denied_keys_status": 401}));
    assert_eq!(status(&analyst, "GET /v1/keys", ""), 401);
}

#[test]
fn expired_disabled_and_blocked_keys_get_the_same_401() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let key = sandbox.mailgun_key_with(&account, json!({"role": "admin", "expires_in": 60, "legacy": true}));
    assert!(key.secret.starts_with("key-"));
    let status = || call(&sandbox, "US", &key.secret, "GET /v1/keys", "").status;
    assert_eq!(status(), 200);
    sandbox.clock(61);
    assert_eq!(status(), 401);
    sandbox.clock(0);
    let change = |body: Value| sandbox.control("PUT", &format!("/mailgun/keys/{}", key.id), body);
    change(json!({"is_disabled": true}));
    assert_eq!(status(), 401);
    change(json!({"is_disabled": false}));
    let allowed = json!([{"ip_address": "203.0.113.0/24", "description": "office"}]);
    sandbox.control("PUT", &format!("/mailgun/accounts/{account}/allowlist"), allowed);
    assert_eq!(status(), 401);
    sandbox.caller_ip("203.0.113.5");
    assert_eq!(status(), 200);
}

#[test]
fn a_breach_of_the_contract_is_answered_and_noted() {
    let mut sandbox = Sandbox::start();
    sandbox.expect_violations();
    let account = sandbox.mailgun_account();
    let admin = sandbox.mailgun_key(&account, "admin").secret;
    for (request, body, status) in [
        ("GET /v4/domains?page=2", "", 400),
        ("POST /v1/keys", "kind=user", 400),
        ("PATCH /v1/keys", "", 405),
        ("GET /v4/keys", "", 404),
    ] {
        assert_eq!(call(&sandbox, "US", &admin, request, body).status, status, "{request}");
        let entry = sandbox.requests().pop().unwrap();
        assert!(entry["contract_violation"].is_string(), "{entry}");
    }
}

#[test]
fn requests_are_recorded_without_the_credential() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let admin = sandbox.mailgun_key(&account, "admin");
    call(&sandbox, "US", &admin.secret, "GET /v4/domains?limit=1", "");
    let entries = sandbox.requests();
    let entry = &entries[0];
    assert_eq!(entry["key_id"], admin.id.as_str());
    assert_eq!((&entry["authenticated"], &entry["credential_presented"]), (&json!(true), &json!(true)));
    assert_eq!(entry["query"], json!([["limit", "1"]]));
    assert!(!entry.to_string().contains(&admin.secret) && !entry.to_string().contains(&basic(&admin.secret)));
}

#[test]
fn faults_strike_as_often_as_told() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let admin = sandbox.mailgun_key(&account, "admin").secret;
    let host = "mailgun-us";
    let get = || call(&sandbox, "US", &admin, "GET /v4/domains", "");

    sandbox.fault(json!({"host": host, "after": 1, "times": 1, "action": {"status": 503, "body": "down"}}));
    assert_eq!([get().status, get().status, get().status], [200, 503, 200]);
    sandbox.fault(json!({"host": host, "times": 1, "action": {"rate_limit": "epoch-ms", "seconds": 5}}));
    assert_eq!(get().header("x-ratelimit-reset").unwrap().len(), 13);
    sandbox.fault(json!({"host": host, "times": 1, "action": {"rate_limit": "420", "seconds": 5}}));
    assert_eq!(get().status, 420);
    sandbox.fault(json!({"host": host, "times": 1, "action": {"oversize": 100_000}}));
    assert!(get().body.len() > 100_000);

    let authorization = basic(&admin);
    let headers = [("authorization", authorization.as_str()), ("content-type", FORM)];
    let url = sandbox.export("KEYCTL_MAILGUN_US_URL");
    let create = || try_exchange(url, "POST", "/v1/keys", &headers, "role=admin");
    let count = || {
        get().header("x-mailgun-key-id").map(|_| {
            sandbox.control("GET", "/state", Value::Null)["mailgun"]["keys"].as_array().unwrap().len()
        })
    };
    for (cut, keys) in [("before", 1), ("after-processing", 2), ("mid-body", 3)] {
        sandbox.fault(json!({"host": host, "method": "POST", "times": 1, "action": {"cut": cut}}));
        let received = create().unwrap_err();
        assert_eq!(received.starts_with("HTTP/1.1 200"), cut == "mid-body", "{received}");
        assert_eq!(count(), Some(keys), "{cut}");
    }
}

#[test]
fn messages_are_refused_in_the_vendors_words() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let admin = sandbox.mailgun_key(&account, "admin").secret;
    sandbox.domain(&account, "us", "mg.one.example", "active");
    sandbox.domain(&account, "us", "mg.new.example", "unverified");
    let box_name = format!("sandbox{}.mailgun.org", "0".repeat(32));
    sandbox.domain_with(
        &account,
        json!({"name": box_name, "region": "us", "state": "active", "type": "sandbox"}),
    );
    let send =
        |domain: &str, body: &str| call(&sandbox, "US", &admin, &format!("POST /v3/{domain}/messages"), body);
    let good = "from=a%40mg.one.example&to=b%40there.example&subject=s&text=t";

    assert_eq!(send("mg.one.example", "from=a").json()["message"], "to parameter is missing");
    let bad = send("mg.one.example", "from=a&to=b").json();
    assert_eq!(bad["message"], "to parameter is not a valid address. please check documentation");
    let foreign = send("mg.foreign.example", good);
    assert_eq!((foreign.status, foreign.body.as_str()), (401, "Forbidden"));
    let unverified = send("mg.new.example", good);
    assert_eq!(unverified.status, 400);
    assert!(unverified.body.contains("is not allowed to send: The domain is unverified"));
    assert_eq!(send(&box_name, good).status, 403);
    assert!(sandbox.messages().is_empty());

    let sent = send("mg.one.example", good).json();
    assert_eq!(sent["message"], "Queued. Thank you.");
    let id = sandbox.messages()[0]["message_id"].as_str().unwrap().to_owned();
    assert_eq!(sent["id"], format!("<{id}>"));
}

#[test]
fn logs_tell_what_became_of_a_mail() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let admin = sandbox.mailgun_key(&account, "admin");
    sandbox.domain(&account, "us", "mg.one.example", "active");
    sandbox.settings(&account, json!({"delivery_delay_ms": 60_000}));
    let form =
        "from=a%40mg.one.example&to=b%40there.example,bounce%40there.example&subject=s&text=t&o:testmode=yes";
    call(&sandbox, "US", &admin.secret, "POST /v3/mg.one.example/messages", form);

    let logs = |body: Value| {
        let authorization = basic(&admin.secret);
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let url = sandbox.export("KEYCTL_MAILGUN_US_URL");
        exchange(url, "POST", "/v1/analytics/logs", &headers, &body.to_string())
    };
    let names = |reply: &RawReply| -> Vec<String> {
        let items = reply.json()["items"].as_array().unwrap().clone();
        items.iter().map(|it| it["event"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&logs(json!({}))), ["accepted", "accepted"]);
    sandbox.clock(61);
    let filter = json!({"AND": [{"attribute": "domain", "comparator": "=",
        "values": [{"label": "mg.one.example", "value": "mg.one.example"}]}]});
    let done = logs(json!({"events": ["delivered", "failed"], "filter": filter}));
    assert_eq!(names(&done).len(), 2);
    let delivered = done.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["event"] == "delivered")
        .unwrap()
        .clone();
    assert_eq!(delivered["api-key-id"], admin.id.as_str());
    assert_eq!(delivered["delivery-status"]["code"], 650);

    let first = logs(json!({"pagination": {"limit": 3, "sort": "timestamp:asc"}})).json();
    let next = |page: &Value| {
        logs(
            json!({"pagination": {"limit": 3, "sort": "timestamp:asc", "token": page["pagination"]["next"]}}),
        )
        .json()
    };
    let second = next(&first);
    assert_eq!((first["items"].as_array().unwrap().len(), second["items"].as_array().unwrap().len()), (3, 1));
    assert_eq!(next(&second)["items"], json!([]));

    let events = call(&sandbox, "US", &admin.secret, "GET /v3/mg.one.example/events?event=failed", "").json();
    assert_eq!(events["items"][0]["severity"], "permanent");
    assert!(events["items"][0]["timestamp"].is_f64());
    assert_eq!(logs(json!({"start": "2026-01-01"})).status, 400);
}

#[test]
fn routes_match_by_priority_and_region() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let admin = sandbox.mailgun_key(&account, "admin").secret;
    let route = |priority: i64, expression: &str| {
        let body =
            json!({"region": "us", "priority": priority, "expression": expression, "actions": ["stop()"]});
        sandbox.control("POST", &format!("/mailgun/accounts/{account}/routes"), body);
    };
    route(5, "catch_all()");
    route(1, r#"match_recipient(".*@mg\.one\.example$")"#);
    let met = |region: &str, address: &str| {
        let reply = call(&sandbox, region, &admin, &format!("GET /v3/routes/match?address={address}"), "");
        (reply.status == 200).then(|| reply.json()["route"]["priority"].clone())
    };
    assert_eq!(met("US", "x@mg.one.example"), Some(json!(1)));
    assert_eq!(met("US", "x@mgxone.example"), Some(json!(5)));
    assert_eq!(met("EU", "x@mg.one.example"), None);
}

#[test]
fn the_allowlist_can_be_read_changed_and_locks_its_owner_out() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let admin = sandbox.mailgun_key(&account, "admin").secret;
    let ask = |request: &str, body: &str| call(&sandbox, "US", &admin, request, body);
    assert_eq!(
        ask("POST /v2/ip_whitelist", "address=nowhere").json()["message"],
        "Invalid IP Address or CIDR"
    );
    let added = ask("POST /v2/ip_whitelist", "address=127.0.0.1&description=here").json();
    assert_eq!(added, json!({"addresses": [{"ip_address": "127.0.0.1", "description": "here"}]}));
    ask("POST /v2/ip_whitelist", "address=203.0.113.9");
    assert_eq!(ask("DELETE /v2/ip_whitelist?address=127.0.0.1", "").status, 200);
    assert_eq!(ask("GET /v2/ip_whitelist", "").status, 401);
}

#[test]
fn logins_are_made_changed_and_deleted() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let admin = sandbox.mailgun_key(&account, "admin").secret;
    sandbox.domain(&account, "us", "mg.one.example", "active");
    let below = "/v3/domains/mg.one.example/credentials";
    let ask = |method: &str, rest: &str, body: &str| {
        call(&sandbox, "US", &admin, &format!("{method} {below}{rest}"), body).json()
    };
    let made = ask("POST", "", "login=shop");
    assert_eq!(made["message"], "Created 1 credentials pair(s)");
    assert_eq!(made["credentials"]["shop@mg.one.example"].as_str().unwrap().len(), 50);
    assert_eq!(ask("PUT", "/shop", "password=chosen-by-me")["message"], "Password changed");
    assert_eq!(ask("GET", "", "")["items"][0]["login"], "shop@mg.one.example");
    assert_eq!(ask("DELETE", "/shop%40mg.one.example", "")["spec"], "shop@mg.one.example");
    assert_eq!(ask("DELETE", "/shop", "")["message"], "Credentials not found");
}

#[test]
fn the_demonstration_world_is_there() {
    let sandbox = Sandbox::with(&["--seed-demo"]);
    let admin = sandbox.export("SANDBOX_MAILGUN_ADMIN_KEY");
    assert_eq!(call(&sandbox, "US", admin, "GET /v4/domains?state=active", "").json()["total_count"], 3);
    assert_eq!(call(&sandbox, "EU", admin, "GET /v4/domains", "").json()["total_count"], 1);
    let sending = sandbox.export("SANDBOX_MAILGUN_SENDING_KEY");
    assert_eq!(call(&sandbox, "US", sending, "POST /v3/mg.berlin.example/messages", "").status, 400);
    assert!(sandbox.export("SANDBOX_MAILGUN_SMTP_LOGIN").starts_with("postmaster@"));
}

#[test]
fn faults_answer_in_the_vendors_place() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let admin = sandbox.mailgun_key(&account, "admin").secret;
    let create = |action: Value| {
        sandbox.fault(json!({"host": "*", "times": 1, "path_prefix": "/v1/", "action": action}));
        let reply = call(&sandbox, "US", &admin, "POST /v1/keys", "role=admin");
        let keys = sandbox.control("GET", "/state", Value::Null)["mailgun"]["keys"].as_array().unwrap().len();
        (reply, keys)
    };
    let (page, keys) = create(json!({"html_proxy": true}));
    assert_eq!((page.status, page.header("content-type"), keys), (200, Some("text/html; charset=utf-8"), 1));
    let (moved, keys) = create(json!({"redirect": "http://127.0.0.1:1/"}));
    assert_eq!((moved.status, moved.header("location"), keys), (302, Some("http://127.0.0.1:1/"), 1));
    let (lost, keys) = create(json!({"process_then": {"status": 504}, "latency_ms": 1}));
    assert_eq!((lost.status, keys), (504, 2));
    let faults = sandbox.requests().iter().map(|it| it["fault"].clone()).collect::<Vec<_>>();
    assert_eq!(faults, ["answered", "answered", "processed-then-answered"]);
}

#[test]
fn the_lists_of_keys_and_logins_can_lag_behind() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    sandbox.domain(&account, "us", "mg.acme.example", "active");
    let admin = sandbox.mailgun_key(&account, "admin").secret;
    sandbox.settings(&account, json!({"list_lag_ms": 60_000}));
    let logins = "/v3/domains/mg.acme.example/credentials";
    let count = |line: &str| call(&sandbox, "US", &admin, line, "").json()["total_count"].clone();
    let counts = || (count("GET /v1/keys"), count(&format!("GET {logins}")));
    let made = call(&sandbox, "US", &admin, "POST /v1/keys", "role=admin").json()["key"].clone();
    assert_eq!(call(&sandbox, "US", &admin, &format!("POST {logins}"), "login=a").status, 200);
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(call(&sandbox, "US", secret, "GET /v1/keys", "").status, 200, "it works before it is listed");
    assert_eq!(counts(), (json!(1), json!(0)));
    sandbox.clock(61);
    assert_eq!(counts(), (json!(2), json!(1)));
    let delete = |path: &str| call(&sandbox, "US", &admin, &format!("DELETE {path}"), "").status;
    let key = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    let login = format!("{logins}/a@mg.acme.example");
    assert_eq!((delete(&key), delete(&login)), (200, 200));
    assert_eq!(counts(), (json!(2), json!(1)), "they are listed, and gone");
    assert_eq!((delete(&key), delete(&login)), (404, 404));
    sandbox.clock(122);
    assert_eq!(counts(), (json!(1), json!(0)));
}
