//! The whole way for each kind of key, and the plan before it.

use serde_json::{Value, json};

use super::rig::{DOMAIN, PAST_GRACE, Rig, manual};

#[test]
fn an_admin_key_replaces_itself() {
    let mut rig = Rig::new();
    let ran = rig.run(&["-f", "json", "rotate", "mailgun@acme", "--yes"]).exits(0);
    rig.keeps_secrets(&ran);
    let rotation = ran.data()["rotations"][0].clone();
    assert_eq!(rotation["stage"], "grace", "{rotation}");
    assert_eq!(rotation["next"]["by"], "time");
    assert_eq!(rotation["old"]["state"], "live");
    assert_eq!(rotation["records"], json!(["mailgun@acme"]));
    rig.invariants("mailgun@acme", "in grace");
    assert_eq!(rig.keys().len(), 2);
    let current = rig.get("mailgun@acme", "current").unwrap();
    assert_eq!(rig.get("mailgun@acme", "previous").unwrap(), rig.started_with["mailgun@acme"].secret);
    let new = rig.keys().into_iter().find(|it| it["secret"] == current.as_str()).unwrap();
    assert_eq!((new["role"].as_str(), new["kind"].as_str()), (Some("admin"), Some("user")));
    let id = rotation["id"].as_str().unwrap();
    assert!(new["description"].as_str().unwrap().contains(id), "{new}");
    // Too early: nothing happens.
    assert_eq!(rig.rotate(&["mailgun@acme"], 0)["stage"], "grace");
    assert_eq!(rig.keys().len(), 2);
    rig.after(PAST_GRACE);
    let done = rig.rotate(&["mailgun@acme", "--resume"], 0);
    assert_eq!((&done["stage"], &done["next"]), (&json!("done"), &Value::Null));
    assert_eq!(done["old"]["state"], "dead");
    rig.is_done("mailgun@acme", "after the grace period");
    assert_eq!(rig.keys().len(), 1);
}

#[test]
fn a_sending_key_is_replaced_by_the_account_key() {
    let mut rig = Rig::new();
    let key = rig.sandbox.mailgun_sending_key(&rig.account, DOMAIN);
    rig.record("mailgun:send@acme", &key, &format!("kind = \"sending\"\ndomain = \"{DOMAIN}\""));
    let rotation = rig.rotate(&["mailgun:send@acme", "--yes", "--grace", "1h"], 0);
    assert_eq!(rotation["stage"], "grace", "{rotation}");
    assert_eq!(rotation["using"], "mailgun@acme");
    let current = rig.get("mailgun:send@acme", "current").unwrap();
    let new = rig.keys().into_iter().find(|it| it["secret"] == current.as_str()).unwrap();
    assert_eq!(
        (&new["role"], &new["kind"], &new["domain_name"]),
        (&json!("sending"), &json!("domain"), &json!(DOMAIN))
    );
    rig.after(3_660);
    assert_eq!(rig.rotate(&["--resume"], 0)["stage"], "done");
    rig.is_done("mailgun:send@acme", "after the grace period");
    assert_eq!(rig.working().len(), 2, "the account key is untouched");
}

#[test]
fn an_smtp_login_is_replaced_by_one_of_another_name() {
    let mut rig = Rig::new();
    rig.record_login("mailgun:smtp@acme", &format!("news@{DOMAIN}"));
    let _ = rig.run(&[
        "consumer",
        "add",
        "mailgun:smtp@acme",
        "relay",
        "--command",
        "sh -c 'echo $KEYCTL_LOGIN > login'",
    ]);
    let ran = rig.run(&["-f", "json", "rotate", "mailgun:smtp@acme", "--yes"]).exits(0);
    rig.keeps_secrets(&ran);
    let rotation = ran.data()["rotations"][0].clone();
    assert_eq!(rotation["stage"], "grace", "{rotation}");
    let (old, new) = (&rotation["old"], &rotation["new"]);
    assert_eq!(old["login"], format!("news@{DOMAIN}"));
    for side in [old, new] {
        assert!(side["fingerprint"].is_null() && side["last2"].is_null(), "a password is not hinted at");
    }
    let login = new["login"].as_str().unwrap();
    let today = jiff::Timestamp::now().strftime("%Y%m%d").to_string();
    assert_eq!(login, format!("news-{today}@{DOMAIN}"));
    assert_eq!(rig.world.data(&["show", "mailgun:smtp@acme"], 0)["key"]["login"], login);
    assert_eq!(std::fs::read_to_string(rig.world.path("login")).unwrap().trim(), login, "places need both");
    rig.after(PAST_GRACE);
    let ran = rig.run(&["-f", "json", "rotate", "--resume"]).exits(0);
    assert!(ran.stderr.contains("do not tell which SMTP login"), "{}", ran.stderr);
    assert_eq!(ran.data()["rotations"][0]["stage"], "done");
    rig.is_done("mailgun:smtp@acme", "after the grace period");
    // The next one does not grow the name.
    let again = rig.rotate(&["mailgun:smtp@acme", "--yes"], 0);
    let tomorrow = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + PAST_GRACE).unwrap();
    assert_eq!(again["new"]["login"], format!("news-{}@{DOMAIN}", tomorrow.strftime("%Y%m%d")));
}

#[test]
fn the_login_postmaster_cannot_be_replaced_and_it_is_said_why() {
    let mut rig = Rig::new();
    rig.record_login("mailgun:smtp@acme", &format!("postmaster@{DOMAIN}"));
    let ran = rig.run(&["rotate", "mailgun:smtp@acme", "--yes"]).exits(2);
    assert!(ran.stderr.contains("cannot delete the login `postmaster@"), "{}", ran.stderr);
    assert_eq!(rig.keys().len(), 2);
}

#[test]
fn the_plan_changes_nothing_and_says_everything() {
    let rig = Rig::new();
    rig.append(&manual("mailgun@acme", "shop"));
    let before = rig.files();
    let plan = rig.rotate(&["mailgun@acme", "--plan"], 0);
    assert_eq!((&plan["id"], &plan["stage"]), (&Value::Null, &json!("planned")));
    assert_eq!(plan["next"]["action"], "create");
    assert_eq!(plan["consumers"][0]["name"], "shop");
    let steps: Vec<&str> = plan["steps"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert!(steps[0].contains("by API, with `mailgun@acme`"), "{steps:?}");
    assert!(steps.iter().any(|it| it.contains("`shop`")), "{steps:?}");
    assert!(rig.files() == before, "something was written");
    assert_eq!(rig.keys().len(), 1);
    let shown = rig.run(&["rotate", "mailgun@acme", "--plan"]).exits(0).stdout;
    assert!(shown.contains("1. make a new account key (admin) by API"), "{shown}");
}

#[test]
fn without_a_word_of_consent_nothing_begins() {
    let rig = Rig::new();
    let ran = rig.run(&["-f", "json", "rotate", "mailgun@acme"]).exits(9);
    assert_eq!(ran.json()["error"]["code"], "not-confirmed");
    assert_eq!(rig.keys().len(), 1);
    assert_eq!(rig.status(), Vec::<Value>::new());
    assert_eq!(rig.run(&["rotate", "--yes"]).exits(2).stdout, "");
    let _ = rig.run(&["rotate", "mailgun@nobody", "--yes"]).exits(8);
    let _ = rig.run(&["rotate", "mailgun@acme", "--resume"]).exits(8);
    let _ = rig.run(&["rotate", "--resume", "--all"]).exits(0);
}

#[test]
fn a_scope_rotates_every_key_below_it() {
    let mut rig = Rig::new();
    let key = rig.sandbox.mailgun_sending_key(&rig.account, DOMAIN);
    rig.record("mailgun:send@acme/berlin", &key, &format!("kind = \"sending\"\ndomain = \"{DOMAIN}\""));
    let data = rig.world.data(&["rotate", "acme", "--yes", "--grace", "0s"], 0);
    let stages: Vec<(&str, &str)> = data["rotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["key"].as_str().unwrap(), it["stage"].as_str().unwrap()))
        .collect();
    assert_eq!(stages, [("mailgun:send@acme/berlin", "done"), ("mailgun@acme", "done")]);
    rig.is_done("mailgun@acme", "all at once");
    rig.is_done("mailgun:send@acme/berlin", "all at once");
}

#[test]
fn what_policy_says_is_due_is_listed_and_begun() {
    let mut rig = Rig::new();
    rig.append("\n[agency.acme]\nrotate_every = \"90d\"\n");
    let created = |world: &crate::support::World, days: i64| {
        let at = jiff::Timestamp::now().as_second() - days * 86_400;
        let at = jiff::Timestamp::from_second(at).unwrap();
        world.write_inventory(&world.inventory().replace("note = ", &format!("created = \"{at}\"\nnote = ")));
    };
    assert_eq!(rig.world.data(&["rotate", "--due"], 0)["due"], json!([]));
    created(&rig.world, 80);
    assert_eq!(rig.world.data(&["rotate", "--due"], 0)["due"], json!([]));
    rig.after(15 * 86_400);
    let due = rig.world.data(&["rotate", "--due"], 3)["due"].clone();
    assert_eq!((&due[0]["key"], &due[0]["reason"]), (&json!("mailgun@acme"), &json!("age")));
    assert_eq!(rig.rotate(&["--due", "--start", "--yes"], 0)["stage"], "grace");
    assert_eq!(rig.world.data(&["rotate", "--due"], 0)["due"], json!([]));
}

#[test]
fn a_key_from_before_keys_had_ids_is_found_by_what_mailgun_tells() {
    let mut rig = Rig::on(crate::support::sandbox::Sandbox::start());
    let key = rig.sandbox.mailgun_key_with(&rig.account, json!({"role": "admin", "legacy": true}));
    let secret = keyctl::key::Secret::new(key.secret.clone());
    rig.record_secret(
        "mailgun@acme",
        &secret,
        &format!("kind = \"account\"\nfingerprint = \"{}\"", secret.fingerprint()),
    );
    rig.started_with.insert("mailgun@acme".to_owned(), key);
    assert_eq!(rig.rotate(&["mailgun@acme", "--yes", "--grace", "0s"], 0)["stage"], "done");
    rig.is_done("mailgun@acme", "a legacy key");
}

#[test]
fn an_outdated_id_in_the_record_does_not_cost_another_key() {
    let mut rig = Rig::new();
    let other = rig.sandbox.mailgun_key(&rig.account, "admin");
    rig.record("mailgun:other@acme", &other, "kind = \"account\"");
    let text = rig.world.inventory();
    let stale = text.replacen(&rig.started_with["mailgun@acme"].id, &other.id, 1);
    rig.world.write_inventory(&stale);
    assert_eq!(rig.rotate(&["mailgun@acme", "--yes", "--grace", "0s"], 0)["stage"], "done");
    rig.is_done("mailgun@acme", "with an outdated id");
    assert!(rig.working().contains(&other.id), "another key was deleted");
}

#[test]
fn a_key_that_expires_is_replaced_by_one_that_lives_as_long() {
    let mut rig = Rig::on(crate::support::sandbox::Sandbox::start());
    let day = 86_400;
    let key = rig.sandbox.mailgun_key_with(
        &rig.account,
        json!({"role": "admin", "expires_in": 5 * day, "age_seconds": 25 * day}),
    );
    rig.record("mailgun@acme", &key, "kind = \"account\"");
    assert_eq!(rig.world.data(&["rotate", "--due"], 0)["due"], json!([]), "nothing is recorded yet");
    assert_eq!(rig.rotate(&["mailgun@acme", "--yes"], 0)["stage"], "grace");
    let expires = rig.world.data(&["show", "mailgun@acme"], 0)["key"]["expires"].as_str().unwrap().to_owned();
    let left = expires.parse::<jiff::Timestamp>().unwrap().as_second() - jiff::Timestamp::now().as_second();
    assert!((left - 30 * day).abs() < 60, "{expires}");
}

#[test]
fn several_rotations_are_taken_up_together() {
    let mut rig = Rig::new();
    let key = rig.sandbox.mailgun_sending_key(&rig.account, DOMAIN);
    rig.record("mailgun:send@acme", &key, &format!("kind = \"sending\"\ndomain = \"{DOMAIN}\""));
    let _ = rig.world.data(&["rotate", "mailgun@acme", "mailgun:send@acme", "--yes"], 0);
    let _ = rig.run(&["rotate", "--resume"]).exits(2);
    rig.after(PAST_GRACE);
    let done = rig.world.data(&["rotate", "--resume", "--all"], 0);
    let stages: Vec<&Value> = done["rotations"].as_array().unwrap().iter().map(|it| &it["stage"]).collect();
    assert_eq!(stages, ["done", "done"]);
    rig.is_done("mailgun@acme", "all");
    rig.is_done("mailgun:send@acme", "all");
}
