//! `keyctl audit`: each rule offline, waivers, exit codes, reports, and what
//! only the provider knows.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::support::World;
use super::support::scene::Scene;

/// Returns the ids that were found, with key or scope.
fn found(data: &Value) -> BTreeSet<(String, String)> {
    let all = data["findings"].as_array().unwrap();
    all.iter()
        .map(|it| {
            let id = it["id"].as_str().unwrap().to_owned();
            let place = it["key"].as_str().or_else(|| it["scope"].as_str()).unwrap_or("-");
            (id, place.to_owned())
        })
        .collect()
}

fn pairs(list: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    list.iter().map(|(id, place)| ((*id).to_owned(), (*place).to_owned())).collect()
}

/// Returns a world with an inventory that only its owner can read.
fn world(inventory: &str) -> World {
    let world = World::bare();
    world.write_inventory(&format!("version = 1\nstore = \"env\"\n{inventory}"));
    private(&world);
    world
}

fn private(world: &World) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(world.inventory_path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// Returns a record's lines; `fields` are lines of their own.
fn record(key: &str, kind: &str, n: u8, fields: &str) -> String {
    format!(
        "\n[key.\"{key}\"]\nid = \"ktest{n}aaaa\"\nkind = \"{kind}\"\ncurrent = 1\nhighest = 1\nfingerprint = \"{n:012x}\"\n{fields}\n"
    )
}

fn consumer(key: &str, name: &str) -> String {
    format!("\n[[key.\"{key}\".consumer]]\nname = \"{name}\"\nkind = \"manual\"\n")
}

/// Record number, verdict, reasons, when it was checked and accepted; scope,
/// reason and domain of what was not fit.
type Last<'a> = (u8, &'a str, &'a [&'a str], &'a str, Option<&'a str>, &'a [(&'a str, &'a str, &'a str)]);

/// Puts last verdicts into the state folder.
fn verdicts(world: &World, list: &[Last<'_>]) {
    let all: serde_json::Map<String, Value> = list
        .iter()
        .map(|(n, verdict, reasons, checked, accepted, places)| {
            let unfit = |(scope, reason, domain): &(&str, &str, &str)| {
                ((*scope).to_owned(), json!({"reason": reason, "domain": domain}))
            };
            let places: serde_json::Map<String, Value> = places.iter().map(unfit).collect();
            let last = json!({
                "fingerprint": format!("{n:012x}"), "verdict": verdict, "reasons": reasons, "checked_at": checked,
                "accepted_at": accepted, "places": places,
            });
            (format!("ktest{n}aaaa"), last)
        })
        .collect();
    let folder = world.path("home/.local/state/keyctl");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("verdicts.json"), Value::Object(all).to_string()).unwrap();
}

fn now() -> String {
    keyctl::clock::rfc3339(jiff::Timestamp::now())
}

#[test]
fn a_key_in_good_order_has_no_finding() {
    let key = "mailgun@acme";
    let text = format!(
        "{}{}",
        record(key, "account", 1, &format!("created = {}\nexpires = \"never\"", now())),
        consumer(key, "HighLevel agency settings")
    );
    let world = world(&format!("[agency.acme]\nplatform = \"highlevel\"\nrotate_every = \"90d\"\n{text}"));
    verdicts(&world, &[(1, "valid", &[], &now(), Some(&now()), &[])]);
    let before = world.files();
    assert_eq!(world.data(&["audit", "--max-age", "1h", "--strict"], 0), json!({"findings": []}));
    assert_eq!(world.files(), before, "an audit writes nothing");
    // A check that proved nothing is none.
    verdicts(&world, &[(1, "unknown", &["unreachable"], &now(), None, &[])]);
    assert_eq!(found(&world.data(&["audit"], 3)), pairs(&[("never-validated", key)]));
    verdicts(&world, &[(1, "unknown", &["unreachable"], &now(), Some(&now()), &[])]);
    let said = world.run(&["audit"]).exits(0);
    assert_eq!(said.stdout, "1 key: nothing found\n");
}

#[test]
fn single_keys_are_looked_at_for_age_end_proof_use_and_places() {
    let text = [
        "[agency.acme]\nrotate_every = \"90d\"\nplatform = \"none\"\ndomain = \"mg.acme.example\"\n"
            .to_owned(),
        record("mailgun:old@acme", "account", 1, "created = 2020-01-01"),
        consumer("mailgun:old@acme", "shop"),
        record("mailgun:ageless@acme", "sending", 2, "domain = \"mg.acme.example\""),
        record("brevo:idle@acme", "api", 3, &format!("created = {}", now())),
        consumer("brevo:idle@acme", "shop"),
        consumer("brevo:idle@acme", "newsletter"),
        record("klaviyo:ends@acme", "private", 4, &format!("created = {}\nexpires = 2021-01-01", now())),
        consumer("klaviyo:ends@acme", "shop"),
        record("klaviyo:dead@acme", "private", 5, &format!("created = {}", now())),
        consumer("klaviyo:dead@acme", "shop"),
        record("klaviyo:off@acme", "private", 6, "state = \"disabled\""),
        record("brevo:unused@acme", "api", 7, "created = 2020-01-01\nexpires = \"never\""),
        consumer("brevo:unused@acme", "shop"),
    ]
    .concat();
    let world = world(&text);
    let long_ago = "2021-03-01T00:00:00Z";
    let today = now();
    verdicts(
        &world,
        &[
            (1, "valid", &[], &today, Some(&today), &[]),
            (3, "valid", &[], &today, Some(&today), &[]),
            (4, "valid", &[], &today, Some(&today), &[]),
            (5, "rejected", &["unauthorized"], &today, None, &[]),
            (6, "valid", &[], &today, Some(&today), &[]),
            (7, "valid", &[], long_ago, Some(long_ago), &[]),
        ],
    );
    let data = world.data(&["audit", "--max-age", "30d"], 3);
    let expected = pairs(&[
        ("older-than-policy", "mailgun:old@acme"),
        ("account-key-for-sending", "mailgun:old@acme"),
        ("age-unknown", "mailgun:ageless@acme"),
        ("never-validated", "mailgun:ageless@acme"),
        ("no-consumer", "mailgun:ageless@acme"),
        ("several-integrations", "brevo:idle@acme"),
        ("expired", "klaviyo:ends@acme"),
        ("last-rejected", "klaviyo:dead@acme"),
        ("still-works", "klaviyo:off@acme"),
        ("older-than-policy", "brevo:unused@acme"),
        ("unused", "brevo:unused@acme"),
        ("check-too-old", "brevo:unused@acme"),
    ]);
    assert_eq!(found(&data), expected);
    let findings = data["findings"].as_array().unwrap();
    let keys: Vec<&str> = findings.iter().filter_map(|it| it["key"].as_str()).collect();
    assert!(keys.is_sorted(), "{keys:?}");
    let expired = findings.iter().find(|it| it["id"] == "expired").unwrap();
    assert_eq!(
        *expired,
        json!({
            "id": "expired", "severity": "error", "key": "klaviyo:ends@acme", "scope": "acme",
            "detail": "its recorded end was 2021-01-01T00:00:00Z",
            "fix": "`keyctl rotate klaviyo:ends@acme`; if it was prolonged: `keyctl set klaviyo:ends@acme --expires DATE`",
            "waived": false, "waiver": null,
        })
    );
}

#[test]
fn records_are_looked_at_together() {
    let text = [
        "[agency.acme]\nplatform = \"highlevel\"\n".to_owned(),
        "[agency.acme.location.berlin]\ndomain = \"mg.acme.example\"\n".to_owned(),
        "[agency.acme.location.paris]\ndomain = \"mg.acme.example\"\n".to_owned(),
        "[agency.acme.location.wien]\ndomain = \"mg.wien.example\"\n".to_owned(),
        "[agency.acme.location.hamburg]\nemail_provider = \"other\"\n".to_owned(),
        "[agency.acme.location.lost]\ngone = true\n".to_owned(),
        record("mailgun@acme", "account", 1, ""),
        record("mailgun@acme/berlin", "account", 2, "").replace("000000000002", "000000000001"),
        record("mailgun:again@acme", "account", 3, "").replace("000000000003", "000000000001"),
        record("mailgun@acme/hamburg", "account", 4, ""),
    ]
    .concat();
    let world = world(&text);
    let today = now();
    let accepted = Some(today.as_str());
    verdicts(
        &world,
        &[(
            1,
            "limited",
            &["domain-in-eu"],
            &today,
            accepted,
            &[("acme/wien", "domain-in-eu", "mg.wien.example")],
        )],
    );
    let data = world.data(&["audit"], 3);
    let ids: BTreeSet<(String, String)> = found(&data)
        .into_iter()
        .filter(|(id, _)| !["no-consumer", "never-validated"].contains(&id.as_str()))
        .collect();
    let expected = pairs(&[
        ("same-as-agency", "mailgun@acme/berlin"),
        ("same-secret", "mailgun@acme"),
        ("domain-shared", "acme/berlin"),
        ("domain-shared", "acme/paris"),
        ("eu-domain", "mailgun@acme"),
        ("not-effective", "mailgun@acme/hamburg"),
        ("location-gone", "acme/lost"),
    ]);
    assert_eq!(ids, expected);
    let eu = data["findings"].as_array().unwrap().iter().find(|it| it["id"] == "eu-domain").unwrap();
    assert_eq!(eu["scope"], "acme/wien");
    // One location: what is effective there, and its own domain.
    let berlin = found(&world.data(&["audit", "acme/berlin"], 3));
    assert!(berlin.contains(&("domain-shared".into(), "acme/berlin".into())));
    assert!(
        !berlin.iter().any(|(_, place)| place.contains("paris") || place.contains("hamburg")),
        "{berlin:?}"
    );
}

#[test]
fn a_domain_that_locations_inherit_is_shared_too() {
    let text = [
        "[agency.acme]\nplatform = \"highlevel\"\ndomain = \"mg.acme.example\"\n".to_owned(),
        "[agency.acme.location.berlin]\n[agency.acme.location.wien]\n".to_owned(),
        record("mailgun@acme", "account", 1, ""),
        consumer("mailgun@acme", "HighLevel agency settings"),
    ]
    .concat();
    let world = world(&text);
    verdicts(&world, &[(1, "valid", &[], &now(), Some(&now()), &[])]);
    let data = world.data(&["audit"], 0);
    assert_eq!(found(&data), pairs(&[("domain-shared", "acme")]));
    assert_eq!(data["findings"][0]["severity"], "note", "that is how many agencies work");
    let _ = world.data(&["audit", "--strict"], 3);
    world.write_inventory(&world.inventory().replace("[agency.acme.location.wien]\n", ""));
    private(&world);
    assert_eq!(found(&world.data(&["audit", "--strict"], 0)), pairs(&[]));
}

#[test]
fn a_waiver_counts_until_its_date_and_then_is_a_finding() {
    let key = "mailgun@acme";
    let text = format!("[agency.acme]\nplatform = \"highlevel\"\n{}", record(key, "account", 1, ""));
    let waiver = |id: &str, until: &str| {
        format!("\n[[waiver]]\nfinding = \"{id}\"\nkey = \"{key}\"\nreason = \"known\"\nuntil = {until}\n")
    };
    let world = world(
        &(text.clone() + &waiver("no-consumer", "2099-01-01") + &waiver("never-validated", "2099-01-01")),
    );
    let data = world.data(&["audit"], 0);
    let waived: Vec<&Value> = data["findings"].as_array().unwrap().iter().map(|it| &it["waived"]).collect();
    assert_eq!(waived, [true, true]);
    assert_eq!(data["findings"][0]["waiver"], json!({"reason": "known", "until": "2099-01-01T00:00:00Z"}));
    let junit = world.run(&["audit", "--report", "junit=-"]).exits(0);
    assert!(
        junit.stdout.contains("tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"2\""),
        "{}",
        junit.stdout
    );
    world.write_inventory(
        &(String::from("version = 1\n")
            + &text
            + &waiver("no-consumer", "2020-01-01")
            + &waiver("no-such", "2099-01-01")),
    );
    private(&world);
    let expected = pairs(&[
        ("never-validated", key),
        ("no-consumer", key),
        ("waiver-expired", key),
        ("waiver-unused", key),
    ]);
    assert_eq!(found(&world.data(&["audit"], 3)), expected);
}

#[test]
fn notes_count_only_with_strict() {
    let key = "highlevel@acme";
    let world = world(&record(key, "agency", 1, ""));
    verdicts(&world, &[(1, "valid", &[], &now(), Some(&now()), &[])]);
    assert_eq!(found(&world.data(&["audit", "--strict"], 0)), pairs(&[]));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(world.inventory_path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(found(&world.data(&["audit"], 0)), pairs(&[("inventory-readable", "-")]));
        let _ = world.run(&["audit", "--strict"]).exits(3);
    }
    let _ = world.run(&["audit", "nobody"]).exits(8);
    let _ = World::bare().run(&["audit"]).exits(8);
}

#[test]
fn online_tells_keys_that_only_one_side_knows() {
    let mut scene = Scene::new();
    let admin = scene.sandbox.mailgun_key(&scene.account, "admin");
    let gone = scene.sandbox.mailgun_key(&scene.account, "developer");
    let secret =
        scene.sandbox.mailgun_key_with(&scene.account, json!({"role": "basic", "description": "forgotten"}));
    let remote = format!("kind = \"account\"\nremote_id = \"{}\"", gone.id);
    scene.records(&[
        ("mailgun@acme", "kind = \"account\"", &admin.secret),
        ("mailgun:gone@acme", &remote, &gone.secret),
    ]);
    let _ = scene.validate(&[], 0);
    scene.sandbox.control("PUT", &format!("/mailgun/keys/{}", gone.id), json!({"delete": true}));
    scene.sandbox.clear_requests();
    let offline = found(&scene.world.data(&["audit"], 3));
    assert!(scene.sandbox.requests().is_empty(), "offline is offline");
    let data = scene.world.data(&["audit", "--online"], 3);
    let online: BTreeSet<_> = found(&data).difference(&offline).cloned().collect();
    assert_eq!(online, pairs(&[("not-at-provider", "mailgun:gone@acme"), ("not-recorded", "acme")]));
    let extra = data["findings"].as_array().unwrap().iter().find(|it| it["id"] == "not-recorded").unwrap();
    let detail = extra["detail"].as_str().unwrap();
    assert!(detail.contains(&secret.id) && detail.contains("\"forgotten\", basic"), "{detail}");
    let requests = scene.sandbox.requests();
    assert!(requests.iter().all(|it| it["method"] == "GET" && it["path"] == "/v1/keys"), "{requests:?}");
    let answered = requests.iter().filter(|it| it["status"] == 200).count();
    assert_eq!(answered, 1, "one list for one account");
}

#[test]
fn accounts_are_asked_side_by_side_and_each_told_of_once() {
    let mut scene = Scene::new();
    // Nothing is known of which keys belong together: nobody validated them.
    let mut records = Vec::new();
    for n in 0..20 {
        let account = scene.sandbox.mailgun_account();
        for label in ["", ":b", ":c"] {
            let key = scene.sandbox.mailgun_key(&account, "admin");
            records.push((format!("mailgun{label}@acme/l{n}"), key.secret));
        }
        for _ in 0..2 {
            let body = json!({"role": "basic", "description": "forgotten"});
            let _ = scene.sandbox.mailgun_key_with(&account, body);
        }
    }
    let records: Vec<(&str, &str, &str)> =
        records.iter().map(|(key, secret)| (key.as_str(), "kind = \"account\"", secret.as_str())).collect();
    scene.records(&records);
    let data = scene.world.data(&["audit", "--online"], 3);
    let strangers = data["findings"].as_array().unwrap().iter().filter(|it| it["id"] == "not-recorded");
    assert_eq!(strangers.count(), 40, "{data}");
    // Reports tell them apart.
    let ran = scene.world.run(&["audit", "--online", "--report", "sarif=-"]).exits(3);
    let sarif: Value = serde_json::from_str(&ran.stdout).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let prints: BTreeSet<String> = results.iter().map(|it| it["partialFingerprints"].to_string()).collect();
    assert_eq!(prints.len(), results.len());
}

#[test]
fn a_provider_that_cannot_be_asked_leaves_the_audit_undecided() {
    let mut scene = Scene::new();
    let admin = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[("mailgun@acme", "kind = \"account\"", &admin.secret)]);
    let text = scene.world.inventory() + &consumer("mailgun@acme", "HighLevel");
    scene.world.write_inventory(&text);
    let _ = scene.validate(&[], 0);
    let _ = scene.world.data(&["audit", "--online"], 0);
    scene.sandbox.fault(json!({"host": "*", "action": {"status": 500}}));
    let data = scene.world.data(&["audit", "--online"], 4);
    assert!(found(&data).contains(&("not-looked-at".into(), "mailgun@acme".into())), "{data}");
}

#[test]
fn findings_are_reported_in_every_format() {
    let world = world(&format!(
        "{}{}",
        record("mailgun@acme", "account", 1, ""),
        record("highlevel@acme", "agency", 2, "")
    ));
    verdicts(&world, &[(2, "valid", &[], &now(), Some(&now()), &[])]);
    let report = |format: &str| world.run(&["audit", "--report", &format!("{format}=-")]).exits(3).stdout;
    let sarif: Value = serde_json::from_str(&report("sarif")).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let rules: Vec<&str> = results.iter().map(|it| it["ruleId"].as_str().unwrap()).collect();
    assert_eq!(rules, ["never-validated", "no-consumer"]);
    assert_eq!(results[0]["locations"][0]["physicalLocation"]["region"]["startLine"], 4);
    assert_ne!(results[0]["partialFingerprints"], results[1]["partialFingerprints"]);
    let junit = report("junit");
    assert!(junit.contains("tests=\"3\" failures=\"2\""), "{junit}");
    assert!(
        junit.contains("<testcase name=\"highlevel@acme\" classname=\"keyctl.audit.highlevel\""),
        "{junit}"
    );
    let metrics = report("openmetrics");
    assert!(
        metrics.contains("keyctl_audit_findings{id=\"no-consumer\",severity=\"warning\"} 1\n"),
        "{metrics}"
    );
    assert!(metrics.contains("keyctl_audit_findings{id=\"expired\",severity=\"error\"} 0\n"), "{metrics}");
    let annotations = report("github");
    assert!(
        annotations.starts_with("::warning file=home/.config/keyctl/keyctl.toml,line=4,title="),
        "{annotations}"
    );
    assert!(report("markdown").contains("| ❌ | mailgun@acme | warning | no-consumer |"));
}

/// Returns a rotation of a key at a stage; `fields` are lines of its own.
fn rotation(key: &str, stage: &str, fields: &str, consumers: &str) -> String {
    format!(
        "\n[rotation.r{}]\nkeys = [\"{key}\"]\nstage = \"{stage}\"\ngrace = \"1d\"\n{fields}\nconsumers = [{consumers}]\n",
        stage.replace('-', "") + key.split([':', '@']).nth(1).unwrap()
    )
}

#[test]
fn rotations_that_do_not_get_on_are_found() {
    let fresh = now();
    let started = |at: &str| format!("started = \"{at}\"");
    let old = "2026-01-01T00:00:00Z";
    let keys = ["a", "b", "c", "d", "e"].map(|label| format!("klaviyo:{label}@acme"));
    let mut text = String::new();
    for (n, key) in keys.iter().enumerate() {
        text += &record(key, "private", n as u8 + 1, &format!("created = {fresh}"));
        text += &consumer(key, "shop");
    }
    let todo =
        |key: &str| format!("{{ key = \"{key}\", name = \"shop\", kind = \"manual\", state = \"todo\" }}");
    text += &rotation(&keys[0], "deploying", &started(old), &todo(&keys[0]));
    text += &rotation(
        &keys[1],
        "grace",
        &format!("{}\ngrace_until = \"2026-01-03T00:00:00Z\"", started(old)),
        "",
    );
    text += &rotation(
        &keys[2],
        "retired-verifying",
        &format!("{}\ndeadline = \"2026-01-09T00:00:00Z\"", started(&fresh)),
        "",
    );
    text += &rotation(&keys[3], "switched", &format!("{}\ntrouble = \"no network\"", started(&fresh)), "");
    text += &rotation(&keys[4], "deploying", &started(&fresh), &todo(&keys[4]));
    let world = world(&text);
    let last: Vec<Last<'_>> =
        (1..=5).map(|n| (n, "valid", &[][..], fresh.as_str(), Some(fresh.as_str()), &[][..])).collect();
    verdicts(&world, &last);
    let data = world.data(&["audit"], 3);
    let expected = pairs(&[
        ("rotation-stuck", &keys[0]),
        ("rotation-overdue", &keys[1]),
        ("not-proven-dead", &keys[2]),
        ("rotation-stuck", &keys[3]),
    ]);
    assert_eq!(found(&data), expected, "{data:#}");
    let details: String =
        data["findings"].as_array().unwrap().iter().map(|it| it["detail"].as_str().unwrap()).collect();
    for words in ["waits for shop", "its grace period ended", "its deadline has passed", "no network"] {
        assert!(details.contains(words), "{words}: {details}");
    }
}

#[test]
fn an_allowlist_that_was_not_restored_is_found() {
    let mut scene = Scene::new();
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.sandbox.control(
        "PUT",
        &format!("/mailgun/accounts/{}/allowlist", scene.account),
        json!([{"ip_address": "127.0.0.1"}]),
    );
    scene.records(&[("mailgun@acme", "kind = \"account\"", &key.secret)]);
    let _ = scene.world.run(&["allowlist", "mailgun@acme", "--relax", "--yes"]).exits(0);
    let relaxed = ("allowlist-relaxed".to_owned(), "mailgun@acme".to_owned());
    assert!(found(&scene.world.data(&["audit"], 3)).contains(&relaxed));
    let _ = scene.world.run(&["allowlist", "mailgun@acme", "--restore", "--yes"]).exits(0);
    assert!(!found(&scene.world.data(&["audit"], 3)).contains(&relaxed));
}

#[test]
fn online_tells_that_a_key_which_is_given_up_still_sends() {
    let mut scene = Scene::new();
    scene.sandbox.domain(&scene.account, "us", "mg.acme.example", "active");
    let old = scene.sandbox.mailgun_key(&scene.account, "developer");
    let new = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[(
        "mailgun@acme",
        &format!("kind = \"account\"\nremote_id = \"{}\"", new.id),
        &new.secret,
    )]);
    let hour_ago = keyctl::clock::rfc3339(jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1));
    let done = format!(
        "{{ key = \"mailgun@acme\", name = \"shop\", kind = \"manual\", state = \"acked\", at = \"{hour_ago}\" }}"
    );
    let fields = format!(
        "started = \"{hour_ago}\"\nswitched_at = \"{hour_ago}\"\ngrace_until = \"2099-01-01T00:00:00Z\""
    );
    let text = scene.world.inventory()
        + &rotation("mailgun@acme", "grace", &fields, &done)
        + &format!("\n[rotation.rgraceacme.old]\nremote_id = \"{}\"\nstate = \"live\"\n", old.id);
    scene.world.write_inventory(&text);
    let in_use = ("old-key-in-use".to_owned(), "mailgun@acme".to_owned());
    let data = scene.world.data(&["audit", "--online"], 3);
    assert!(!found(&data).contains(&in_use), "{data:#}");
    assert!(
        !found(&data).iter().any(|(id, _)| id == "not-recorded"),
        "the old key is part of the rotation: {data:#}"
    );
    scene.sandbox.control(
        "POST",
        &format!("/mailgun/accounts/{}/messages", scene.account),
        json!({"region": "us", "domain": "mg.acme.example", "to": "a@b.example", "key_id": old.id}),
    );
    let data = scene.world.data(&["audit", "--online"], 3);
    assert!(found(&data).contains(&in_use), "{data:#}");
}
