//! Klaviyo as a person works with it: keys of both forms, their scopes, and
//! their replacement in the console.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::sandbox::{Sandbox, SandboxKey};

const MANAGER: [&str; 3] = ["accounts:read", "credentials:read", "credentials:write"];

struct Shop {
    world: World,
    sandbox: Sandbox,
    account: String,
}

impl Shop {
    fn new() -> Self {
        let sandbox = Sandbox::start();
        let account = open(&sandbox);
        let mut world = World::new();
        world.join(&sandbox.env());
        Self { world, sandbox, account }
    }

    fn make(&self, scopes: &[&str]) -> SandboxKey {
        self.make_with(&self.account, json!({"scopes": scopes, "name": "shop"}))
    }

    fn make_with(&self, account: &str, body: Value) -> SandboxKey {
        let made = self.sandbox.control("POST", &format!("/klaviyo/accounts/{account}/keys"), body);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        SandboxKey { id: text("id"), secret: text("secret") }
    }

    fn change(&self, key: &SandboxKey, body: Value) {
        self.sandbox.control("PUT", &format!("/klaviyo/keys/{}", key.id), body);
    }

    #[track_caller]
    fn add(&self, arguments: &[&str], key: &SandboxKey, code: i32) -> Value {
        let all = [&["-f", "json", "add"], arguments, &["--stdin"]].concat();
        self.world.run_with(&all, &key.secret).exits(code).data()
    }

    #[track_caller]
    fn rotate(&self, arguments: &[&str], input: &str, code: i32) -> (Value, String) {
        let all = [&["-f", "json", "rotate"], arguments].concat();
        let ran = self.world.run_with(&all, input).exits(code);
        assert!(input.is_empty() || !ran.stdout.contains(input) && !ran.stderr.contains(input));
        (ran.data()["rotations"][0].clone(), ran.stderr)
    }
}

fn open(sandbox: &Sandbox) -> String {
    sandbox.control("POST", "/klaviyo/accounts", json!({}))["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_newer_form_tells_its_account_offline() {
    let shop = Shop::new();
    let narrow = shop.make(&["profiles:write"]);
    let _ =
        shop.world.run_with(&["add", "klaviyo@shop", "--stdin", "--no-validate"], &narrow.secret).exits(0);
    assert!(shop.sandbox.requests().is_empty(), "offline");
    assert!(shop.world.inventory().contains(&shop.account), "{}", shop.world.inventory());
    assert_eq!(shop.world.data(&["show", "klaviyo@shop"], 0)["key"]["remote_id"], Value::Null);
    // A key of another account does not take its place unseen.
    let other = shop.make_with(&open(&shop.sandbox), json!({"scopes": ["profiles:write"]}));
    let refused = shop.add(&["klaviyo@shop", "--replace"], &other, 3);
    assert_eq!(refused["reason"], "wrong-account", "{refused}");
    // The older form does not tell; a good key it is all the same.
    let older = shop.make_with(&shop.account, json!({"scopes": ["profiles:write"], "older": true}));
    assert_eq!(shop.add(&["klaviyo:old@shop"], &older, 0)["verdict"], "valid");
}

#[test]
fn a_key_is_switched_by_another_that_may_and_found_in_its_list() {
    let shop = Shop::new();
    let narrow = shop.make(&["profiles:write"]);
    shop.add(&["klaviyo:web@shop"], &narrow, 0);
    let alone = shop.world.run(&["disable", "klaviyo:web@shop", "--no-input"]).exits(6);
    assert!(alone.stderr.contains("https://www.klaviyo.com/settings"), "{}", alone.stderr);
    shop.add(&["klaviyo:admin@shop"], &shop.make(&MANAGER), 0);
    let _ = shop.world.run(&["disable", "klaviyo:web@shop", "--no-input"]).exits(9);
    let off = shop.world.data(&["disable", "klaviyo:web@shop", "--yes"], 0);
    assert_eq!((&off["state"], &off["how"]), (&json!("disabled"), &json!("api")), "{off}");
    let healthy = shop.world.data(&["validate", "klaviyo:web@shop"], 0);
    assert_eq!(healthy["results"][0]["verdict"], "rejected");
    let on = shop.world.data(&["enable", "klaviyo:web@shop", "--using", "klaviyo:admin@shop"], 0);
    assert_eq!((&on["state"], &on["verdict"]), (&json!("active"), &json!("valid")));
}

#[test]
fn a_replacement_is_made_by_a_link_with_exactly_the_old_scopes() {
    let shop = Shop::new();
    let old = shop.make(&["accounts:read", "lists:read"]);
    shop.add(&["klaviyo@shop", "--permissions", "lists:read,accounts:read", "--consumer", "web"], &old, 0);
    shop.add(&["klaviyo:admin@shop"], &shop.make(&MANAGER), 0);
    let (waits, said) = shop.rotate(&["klaviyo@shop", "--yes", "--no-input"], "", 6);
    let url = "https://www.klaviyo.com/create-private-api-key?scopes=lists:read,accounts:read";
    assert_eq!((&waits["stage"], &waits["next"]["by"]), (&json!("creating"), &json!("human")));
    assert_eq!(waits["next"]["url"], url, "{said}");
    assert!(said.contains(url), "{said}");
    let listed = shop.world.data(&["list", "shop"], 0);
    assert_eq!(listed["keys"][1]["rotation"], "creating", "{listed}");

    let foreign = shop.make_with(&open(&shop.sandbox), json!({"scopes": ["accounts:read", "lists:read"]}));
    let ran =
        shop.world.run_with(&["rotate", "klaviyo@shop", "--resume", "--stdin"], &foreign.secret).exits(1);
    assert!(ran.stderr.contains("another account"), "{}", ran.stderr);
    // It is nobody's here to end.
    let ran = shop.world.run(&["rotate", "klaviyo@shop", "--abort", "--yes"]).exits(0);
    assert!(ran.stderr.contains("left alone at klaviyo"), "{}", ran.stderr);

    let full = shop.make(&["accounts:read", "lists:read", "profiles:read", "lists:write"]);
    let (waits, said) = shop.rotate(&["klaviyo@shop", "--yes", "--stdin"], &full.secret, 6);
    assert!(said.contains("permission-excess") && said.contains("profiles:read"), "{said}");
    assert_eq!(waits["stage"], "deploying");
    let (off, _) = shop.rotate(&["klaviyo@shop", "--ack", "web", "--grace", "0s"], "", 6);
    assert_eq!((&off["stage"], &off["next"]["action"]), (&json!("disabled"), &json!("delete")), "{off}");
    shop.change(&old, json!({"deleted": true}));
    let (done, _) = shop.rotate(&["klaviyo@shop", "--resume"], "", 0);
    assert_eq!((&done["stage"], &done["old"]["state"]), (&json!("done"), &json!("dead")), "{done}");
}

#[test]
fn other_scopes_are_asked_for_by_a_rotation() {
    let mut shop = Shop::new();
    let old = shop.make(&["accounts:read", "credentials:read", "lists:read"]);
    shop.add(&["klaviyo@shop", "--permissions", "accounts:read,credentials:read,lists:read"], &old, 0);
    shop.add(&["klaviyo:admin@shop"], &shop.make(&MANAGER), 0);
    let wider = ["accounts:read", "credentials:read", "lists:read", "profiles:read"];
    let asked = ["klaviyo@shop", "--permissions", &wider.join(","), "--yes"];
    let (waits, _) = shop.rotate(&[&asked[..], &["--no-input"]].concat(), "", 6);
    assert!(waits["next"]["url"].as_str().unwrap().ends_with("profiles:read"), "{waits}");
    let narrow = ["rotate", "klaviyo@shop", "--resume", "--stdin"];
    let new = shop.make(&wider);
    let ran = shop.world.run_with(&narrow, &new.secret).exits(0);
    assert!(!ran.stderr.contains("permission-excess"), "{}", ran.stderr);
    shop.world.set("KEYCTL_DEBUG_CLOCK_OFFSET", "90000");
    shop.sandbox.clock(90_000);
    let (off, said) = shop.rotate(&["klaviyo@shop", "--resume", "--yes"], "", 6);
    assert_eq!((&off["stage"], &off["old"]["state"]), (&json!("disabled"), &json!("disabled")), "{said}");
    shop.change(&old, json!({"deleted": true}));
    let (done, said) = shop.rotate(&["klaviyo@shop", "--resume", "--yes"], "", 0);
    assert_eq!((&done["stage"], &done["old"]["state"]), (&json!("done"), &json!("dead")), "{said}");
    let patched = shop.sandbox.request_lines().iter().filter(|it| it.starts_with("PATCH")).count();
    assert_eq!(patched, 1, "the old key was switched off first");
    let shown = shop.world.data(&["show", "klaviyo@shop"], 0)["key"].clone();
    assert_eq!(shown["permissions"].as_array().unwrap().len(), 4, "{shown}");
    assert_eq!(shop.world.data(&["validate", "klaviyo@shop", "--strict"], 0)["summary"]["valid"], 1);
}

#[test]
fn a_new_key_that_may_do_more_than_asked_is_limited() {
    let shop = Shop::new();
    let more = shop.make(&["campaigns:read", "campaigns:write", "profiles:read"]);
    for (key, asked) in
        [("klaviyo@shop", "campaigns:read,campaigns:write"), ("klaviyo:b@shop", "campaigns:read")]
    {
        let arguments = ["-f", "json", "create", key, "--permissions", asked, "--stdin"];
        let made = shop.world.run_with(&arguments, &more.secret).exits(0).data();
        assert_eq!(
            (&made["verdict"], &made["reason"]),
            (&json!("limited"), &json!("permission-excess")),
            "{made}"
        );
    }
    // Where the provider lists the scopes, validate says so from then on.
    let open = shop.make(&["credentials:read", "campaigns:read"]);
    shop.add(&["klaviyo:c@shop", "--permissions", "campaigns:read"], &open, 0);
    let data = shop.world.data(&["validate", "klaviyo:c@shop", "--strict"], 5);
    assert_eq!(data["results"][0]["reasons"], json!(["permission-excess"]), "{data}");
}

/// Where the console lists the keys.
const LIST: &str = "https://www.klaviyo.com/settings/account/api-keys";

#[test]
fn a_rotation_asks_for_a_clone_and_compares_what_can_be_seen_where_no_list_tells() {
    let shop = Shop::new();
    let scopes = ["accounts:read", "lists:read", "lists:write", "webhooks:read"];
    shop.add(&["klaviyo@shop"], &shop.make(&scopes), 0);
    let (waits, said) = shop.rotate(&["klaviyo@shop", "--yes", "--no-input"], "", 6);
    assert_eq!((&waits["stage"], &waits["next"]["url"]), (&json!("creating"), &json!(LIST)));
    let told = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in ["a person clones", "Settings › API keys › Clone", "› Klonen", "keeps the name", "Rename it"]
    {
        assert!(told.contains(word), "{word}: {said}");
    }
    assert!(said.contains("?scopes=accounts:read,lists:read,webhooks:read"), "{said}");
    // Given up before it was pasted: the key in use must not be taken for the clone.
    let ran = shop.world.run(&["rotate", "klaviyo@shop", "--abort", "--no-input"]).exits(6);
    assert!(ran.stderr.contains("Keep the key that ends in"), "{}", ran.stderr);
    let _ = shop.world.run(&["rotate", "klaviyo@shop", "--abort", "--not-made"]).exits(0);

    let narrow = shop.make(&["accounts:read", "lists:write"]);
    let ran = shop.world.run_with(&["rotate", "klaviyo@shop", "--yes", "--stdin"], &narrow.secret).exits(1);
    assert!(ran.stderr.contains("it lacks the permissions lists:read, webhooks:read"), "{}", ran.stderr);
    assert_ne!(shop.world.run(&["get", "klaviyo@shop"]).exits(0).stdout.trim(), narrow.secret);
    shop.change(&narrow, json!({"deleted": true}));
    let _ = shop.world.run(&["rotate", "klaviyo@shop", "--abort", "--yes"]).exits(0);

    let clone = shop.make(&scopes);
    let (waits, said) = shop.rotate(&["klaviyo@shop", "--yes", "--stdin"], &clone.secret, 0);
    assert_eq!(waits["stage"], "grace");
    assert_eq!(said.matches("not compared with the old key").count(), 1, "{said}");
    assert!(said.contains("`keyctl permissions klaviyo@shop --probe-write`"), "{said}");
    assert!(shop.sandbox.request_lines().iter().all(|it| it.starts_with("GET ")));
    let shown = shop.world.data(&["show", "klaviyo@shop"], 0)["key"].clone();
    assert_eq!(shown["permissions"], json!([]), "half of them is not what it should have: {shown}");
}

#[test]
fn what_could_not_be_asked_now_proves_no_key_unfit() {
    let shop = Shop::new();
    let scopes = ["accounts:read", "lists:read", "profiles:read", "tags:read"];
    shop.add(&["klaviyo@shop"], &shop.make(&scopes), 0);
    let broken = json!({"host": "klaviyo", "path_prefix": "/api/tag-groups", "action": {"status": 500}});
    shop.sandbox.fault(broken.clone());
    let (_, said) = shop.rotate(&["klaviyo@shop", "--yes", "--no-input"], "", 6);
    assert!(said.contains("could not be found out now"), "{said}");
    // The old key is asked again, then the new one: neither tells.
    let clone = shop.make(&scopes);
    let resume = ["klaviyo@shop", "--resume"];
    let (stays, said) = shop.rotate(&[&resume[..], &["--stdin"]].concat(), &clone.secret, 4);
    assert_eq!(stays["stage"], "created", "{said}");
    shop.sandbox.clear_faults();
    shop.sandbox.fault(json!({"host": "klaviyo", "path_prefix": "/api/tag-groups", "after": 1,
        "action": {"rate_limit": "retry-after", "seconds": 600}}));
    let (stays, said) = shop.rotate(&resume, "", 4);
    assert_eq!(stays["stage"], "created", "{said}");
    assert!(said.contains("the old key is still current") && said.contains("tags:read"), "{said}");
    shop.sandbox.clear_faults();
    let (done, _) = shop.rotate(&resume, "", 0);
    assert_eq!(done["stage"], "grace");
}

#[test]
fn the_list_of_a_managing_key_tells_all_of_the_old_key_and_of_the_new_one() {
    let shop = Shop::new();
    shop.add(&["klaviyo@shop"], &shop.make(&["lists:read", "lists:write"]), 0);
    shop.add(&["klaviyo:admin@shop"], &shop.make(&MANAGER), 0);
    shop.sandbox.clear_requests();
    let (waits, said) = shop.rotate(&["klaviyo@shop", "--yes", "--no-input"], "", 6);
    let url = "https://www.klaviyo.com/create-private-api-key?scopes=lists:read,lists:write";
    assert_eq!(waits["next"]["url"], url, "{said}");
    assert!(!shop.sandbox.request_lines().iter().any(|it| it.contains("/api/lists")), "the list is enough");
    let narrow = shop.make(&["lists:read"]);
    let ran =
        shop.world.run_with(&["rotate", "klaviyo@shop", "--resume", "--stdin"], &narrow.secret).exits(1);
    assert!(ran.stderr.contains("it lacks the permissions lists:write"), "{}", ran.stderr);
    shop.change(&narrow, json!({"deleted": true}));
    let _ = shop.world.run(&["rotate", "klaviyo@shop", "--abort", "--yes"]).exits(0);
    let same = shop.make(&["lists:read", "lists:write"]);
    let (_, said) = shop.rotate(&["klaviyo@shop", "--yes", "--stdin"], &same.secret, 0);
    assert!(!said.contains("not compared"), "{said}");
}

#[test]
fn a_key_like_another_is_asked_for_by_a_link_or_cloned() {
    let shop = Shop::new();
    shop.add(&["klaviyo@shop", "--permissions", "tags:read,lists:write"], &shop.make(&["tags:read"]), 0);
    shop.add(&["klaviyo:told@shop"], &shop.make(&["credentials:read", "lists:write"]), 0);
    shop.add(&["klaviyo:seen@shop"], &shop.make(&["lists:read", "lists:write", "tags:read"]), 0);
    let url = |like: &str, more: &[&str]| {
        let all = [&["create", "klaviyo:new@shop", "--print-url", "--like", like], more].concat();
        shop.world.run(&all).exits(0).stdout.trim().to_owned()
    };
    let prefilled = |scopes: &str| format!("https://www.klaviyo.com/create-private-api-key?scopes={scopes}");
    assert_eq!(url("klaviyo@shop", &[]), prefilled("tags:read,lists:write"));
    assert_eq!(url("klaviyo:told@shop", &[]), prefilled("credentials:read,lists:write"));
    shop.sandbox.clear_requests();
    assert_eq!(url("klaviyo:seen@shop", &["--permissions", "lists:read"]), prefilled("lists:read"));
    assert!(shop.sandbox.requests().is_empty(), "what is said need not be found out");
    assert_eq!(url("klaviyo:seen@shop", &[]), LIST);
    let create = ["create", "klaviyo:new@shop", "--like", "klaviyo:seen@shop"];
    let ran = shop.world.run(&[&create[..], &["--no-input"]].concat()).exits(6);
    let told = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in [
        "› Klonen",
        "keeps the name",
        "Rename it to `keyctl klaviyo:new@shop`",
        "?scopes=lists:read,tags:read",
    ] {
        assert!(told.contains(word), "{word}: {}", ran.stderr);
    }
    assert!(
        ran.stderr.contains("create klaviyo:new@shop --like klaviyo:seen@shop --stdin"),
        "{}",
        ran.stderr
    );

    let taken = |key: &str, scopes: &[&str]| {
        let all = ["-f", "json", "create", key, "--like", "klaviyo:seen@shop", "--stdin"];
        let ran = shop.world.run_with(&all, &shop.make(scopes).secret).exits(0);
        (ran.data(), ran.stderr)
    };
    let (narrow, _) = taken("klaviyo:a@shop", &["lists:read", "lists:write"]);
    assert_eq!((&narrow["verdict"], &narrow["reason"]), (&json!("limited"), &json!("permission-missing")));
    let (clone, said) = taken("klaviyo:b@shop", &["lists:read", "lists:write", "tags:read"]);
    assert_eq!((&clone["verdict"], &clone["permissions"]), (&json!("valid"), &json!([])), "{clone}");
    assert!(said.contains("scopes for writing were not compared"), "{said}");
}
