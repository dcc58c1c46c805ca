//! The process is killed at every point, and every request is cut, before and
//! after it was processed. At each of these moments the invariants hold, and
//! the same command run again ends where it would have ended.

use serde_json::{Value, json};

use super::rig::{DOMAIN, Rig};

/// What rotates.
#[derive(Clone, Copy)]
enum Scene {
    Account,
    Sending,
    Smtp,
}

impl Scene {
    fn rig(self) -> Rig {
        let mut rig = Rig::new();
        match self {
            Self::Account => {}
            Self::Sending => {
                let key = rig.sandbox.mailgun_sending_key(&rig.account, DOMAIN);
                rig.record("mailgun:send@acme", &key, &format!("kind = \"sending\"\ndomain = \"{DOMAIN}\""));
            }
            Self::Smtp => rig.record_login("mailgun:smtp@acme", &format!("news@{DOMAIN}")),
        }
        let _ =
            rig.run(&["consumer", "add", self.key(), "shop", "--command", "sh -c 'cat > handed'"]).exits(0);
        rig
    }

    fn key(self) -> &'static str {
        match self {
            Self::Account => "mailgun@acme",
            Self::Sending => "mailgun:send@acme",
            Self::Smtp => "mailgun:smtp@acme",
        }
    }

    fn arguments(self) -> [&'static str; 7] {
        ["-f", "json", "rotate", self.key(), "--yes", "--grace", "0s"]
    }

    /// Asserts that everything is as after an undisturbed run.
    #[track_caller]
    fn has_ended(self, rig: &Rig, context: &str) {
        rig.is_done(self.key(), context);
        let handed = std::fs::read_to_string(rig.world.path("handed")).unwrap();
        assert_eq!(handed, rig.get(self.key(), "current").unwrap(), "{context}: the shop has another key");
        assert_eq!(rig.keys().len(), rig.started_with.len(), "{context}: {:#?}", rig.keys());
    }

    /// Runs the command until it succeeds, as somebody would who sees it fail.
    #[track_caller]
    fn finish(self, rig: &Rig, context: &str) {
        for _ in 0..6 {
            let current = rig.get(self.key(), "current");
            let switched = current.is_some_and(|it| it != rig.started_with[self.key()].secret);
            if switched && rig.inventory().rotations.is_empty() {
                return;
            }
            let ran = rig.run(&self.arguments());
            rig.invariants(self.key(), context);
            rig.keeps_secrets(&ran);
        }
        panic!("{context}: does not end: {:#?}", rig.status());
    }
}

fn killed_at_every_point(scene: Scene) {
    for point in 0.. {
        let rig = scene.rig();
        let mut command = rig.world.command(&scene.arguments());
        command.env("KEYCTL_DEBUG_CRASH_AT", point.to_string());
        let ran = crate::support::world::finish(command, "");
        let context = format!("killed at point {point}");
        rig.invariants(scene.key(), &context);
        rig.keeps_secrets(&ran);
        if ran.code == 0 {
            assert!(point > 20, "only {point} points: durable changes are not marked");
            return scene.has_ended(&rig, &context);
        }
        assert_eq!(ran.code, -1, "{context}: it ended by itself: {}", ran.stderr);
        scene.finish(&rig, &context);
        scene.has_ended(&rig, &context);
    }
}

#[test]
fn an_account_key_survives_a_kill_at_every_point() {
    killed_at_every_point(Scene::Account);
}

#[test]
fn a_sending_key_survives_a_kill_at_every_point() {
    killed_at_every_point(Scene::Sending);
}

#[test]
fn an_smtp_login_survives_a_kill_at_every_point() {
    killed_at_every_point(Scene::Smtp);
}

#[test]
fn a_process_that_dies_again_and_again_gets_there() {
    for points in [9, 14, 19] {
        let rig = Scene::Account.rig();
        let mut code = -1;
        for _ in 0..30 {
            let mut command = rig.world.command(&Scene::Account.arguments());
            command.env("KEYCTL_DEBUG_CRASH_AT", points.to_string());
            code = crate::support::world::finish(command, "").code;
            rig.invariants("mailgun@acme", &format!("every {points} points"));
            if code == 0 || rig.status().is_empty() && rig.keys().len() == 1 {
                break;
            }
        }
        Scene::Account.finish(&rig, &format!("every {points} points, at last {code}"));
        Scene::Account.has_ended(&rig, &format!("every {points} points"));
    }
}

/// Cuts the n-th request, for every n.
fn cut_at_every_request(scene: Scene, cut: &str) {
    for n in 0.. {
        let rig = scene.rig();
        rig.sandbox.fault(json!({"host": "*", "after": n, "times": 1, "action": {"cut": cut}}));
        let ran = rig.run(&scene.arguments());
        let faults = rig.sandbox.control("GET", "/faults", Value::Null);
        let struck = faults[0]["times_left"] == 0;
        rig.sandbox.clear_faults();
        let context = format!("request {n} cut {cut}: exit {}: {}", ran.code, ran.stderr);
        rig.invariants(scene.key(), &context);
        rig.keeps_secrets(&ran);
        scene.finish(&rig, &context);
        scene.has_ended(&rig, &context);
        if !struck {
            assert!(n > 5, "only {n} requests");
            return assert_eq!(ran.code, 0, "{context}");
        }
    }
}

#[test]
fn a_request_that_never_arrives_is_survived() {
    cut_at_every_request(Scene::Account, "before");
}

#[test]
fn a_request_whose_answer_is_lost_is_survived() {
    cut_at_every_request(Scene::Account, "after-processing");
    cut_at_every_request(Scene::Smtp, "after-processing");
}

#[test]
fn half_an_answer_is_survived() {
    cut_at_every_request(Scene::Sending, "mid-body");
}
