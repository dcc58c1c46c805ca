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
    let _ = shop.world.run(&["rotate", "klaviyo@shop", "--abort", "--yes"]).exits(6);
    shop.change(&foreign, json!({"deleted": true}));
    let _ = shop.world.run(&["rotate", "klaviyo@shop", "--resume", "--yes"]).exits(0);

    let full = shop.make(&["accounts:read", "lists:read", "profiles:read", "lists:write"]);
    let (waits, said) = shop.rotate(&["klaviyo@shop", "--yes", "--stdin"], &full.secret, 6);
    assert!(said.contains("permission-excess") && said.contains("profiles:read"), "{said}");
    assert_eq!(waits["stage"], "deploying");
    let (done, _) = shop.rotate(&["klaviyo@shop", "--ack", "web", "--grace", "0s"], "", 0);
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
