//! The `keyring` store against a real gnome-keyring, and in every state in which
//! other programs say "not found": locked, missing, silent, without a collection.

use keyctl::key::{RecordId, Secret};
use keyctl::store::{self, Item, Store, StoreError, StoreProblem, Surroundings};

use crate::support::session::{self, Keyring, inside};

fn keyring() -> Box<dyn Store> {
    store::open("keyring", &Surroundings::default()).unwrap()
}

fn item(version: u32) -> Item {
    Item { id: RecordId::parse("kabc").unwrap(), version, key: "brevo:web-shop@acme/berlin".parse().unwrap() }
}

fn secret() -> Secret {
    Secret::new(["xkey", "sib-", &"0a".repeat(32)].concat())
}

/// Runs every call of the trait and checks that each fails for that reason,
/// never with "not there".
fn all_say(problem: StoreProblem, remedy: &str) {
    let check = |call: &str, error: Option<StoreError>| {
        let error = error.unwrap_or_else(|| panic!("{call} claims to have worked"));
        assert_eq!(error.problem, problem, "{call}: {error}");
        assert!(error.remedy.as_ref().is_some_and(|it| it.contains(remedy)), "{call}: {error:?}");
        assert!(!format!("{error:?}").contains("0a0a"), "{call} shows the secret");
    };
    let store = keyring();
    check("get", store.get(&item(1)).err());
    check("put", store.put(&item(1), &secret()).err());
    check("delete", store.delete(&item(9)).err());
    check("check_readable", store.check_readable().err());
    check("check_writable", store.check_writable().err());
}

#[test]
fn the_keyring_conforms() {
    inside("stores::the_keyring_conforms", Keyring::Unlocked, || {
        let store = keyring();
        store.check_readable().unwrap();
        store.check_writable().unwrap();
        assert!(!session::secret_tool_search().contains("probe"), "the probe stays behind");
        let values = [
            secret().expose().to_owned(),
            "x".repeat(1200),
            "päss \"wörd\" \\ 密碼 🗝".to_owned(),
            " \tedges kept\n".to_owned(),
        ];
        for (at, value) in values.iter().enumerate() {
            let item = item(u32::try_from(at).unwrap() + 1);
            assert!(store.get(&item).unwrap().is_none());
            store.put(&item, &Secret::new(value.clone())).unwrap();
            assert_eq!(store.get(&item).unwrap().unwrap().expose(), value);
            store.put(&item, &Secret::new(value.clone())).unwrap();
            let other = store.put(&item, &Secret::new("another".to_owned())).unwrap_err();
            assert_eq!(other.problem, StoreProblem::Other);
            assert_eq!(session::secret_tool_lookup(&item.user()).as_deref(), Some(value.as_str()));
        }
        assert!(store.delete(&item(1)).unwrap());
        assert!(!store.delete(&item(1)).unwrap());
        assert!(store.get(&item(1)).unwrap().is_none());
        assert_eq!(store.get(&item(2)).unwrap().unwrap().expose(), values[1]);
    });
}

#[test]
fn a_keyring_program_shows_whose_key_it_is() {
    inside("stores::a_keyring_program_shows_whose_key_it_is", Keyring::Unlocked, || {
        keyring().put(&item(3), &secret()).unwrap();
        let shown = session::secret_tool_search();
        assert!(shown.contains("label = keyctl: brevo:web-shop@acme/berlin"), "{shown}");
        assert!(shown.contains("attribute.username = kabc#3"), "{shown}");
    });
}

#[test]
fn a_locked_keyring_is_not_an_empty_one() {
    inside("stores::a_locked_keyring_is_not_an_empty_one", Keyring::Unlocked, || {
        keyring().put(&item(1), &secret()).unwrap();
        session::lock();
        all_say(StoreProblem::Locked, "unlock it");
        let missing = keyring().get(&item(7)).unwrap_err();
        assert_eq!(missing.problem, StoreProblem::Locked);
    });
}

#[test]
fn a_keyring_without_a_collection_is_not_an_empty_one() {
    inside("stores::a_keyring_without_a_collection_is_not_an_empty_one", Keyring::NoCollection, || {
        all_say(StoreProblem::NoDefaultCollection, "keyctl store init file");
    });
}

#[test]
fn a_bus_without_a_keyring_is_said() {
    inside("stores::a_bus_without_a_keyring_is_said", Keyring::NoProvider, || {
        all_say(StoreProblem::NoService, "KEYCTL_STORE=env");
    });
}

#[test]
fn a_session_without_a_bus_is_said() {
    inside("stores::a_session_without_a_bus_is_said", Keyring::NoBus, || {
        all_say(StoreProblem::NoService, "gnome-keyring-daemon");
    });
}

#[test]
fn a_keyring_that_never_answers_is_given_up() {
    inside("stores::a_keyring_that_never_answers_is_given_up", Keyring::Silent, || {
        all_say(StoreProblem::TimedOut, "restart it");
    });
}

#[test]
fn a_person_is_told_what_is_waited_for() {
    inside("stores::a_person_is_told_what_is_waited_for", Keyring::Silent, || {
        let (send, told) = std::sync::mpsc::channel();
        let notice = std::sync::Mutex::new(send);
        let surroundings = Surroundings {
            interactive: true,
            notice: Some(std::sync::Arc::new(move |text: &str| {
                notice.lock().unwrap().send(text.to_owned()).unwrap();
            })),
            ..Surroundings::default()
        };
        let store = store::open("keyring", &surroundings).unwrap();
        // It waits for a person much longer than this test does.
        std::thread::spawn(move || store.get(&item(1)).map(|_| ()));
        let text = told.recv().unwrap();
        assert!(text.contains("waiting for the system keyring"), "{text}");
    });
}

#[test]
fn two_items_of_one_name_are_not_guessed_between() {
    inside("stores::two_items_of_one_name_are_not_guessed_between", Keyring::Unlocked, || {
        keyring().put(&item(1), &secret()).unwrap();
        session::secret_tool_store("foreign", &["service", "keyctl", "username", "kabc#1", "extra", "1"]);
        for error in [
            keyring().get(&item(1)).err(),
            keyring().put(&item(1), &secret()).err(),
            keyring().delete(&item(1)).err(),
        ] {
            let error = error.unwrap();
            assert_eq!(error.problem, StoreProblem::Ambiguous);
            assert!(error.remedy.unwrap().contains("username 'kabc#1'"));
        }
    });
}

#[test]
fn an_item_that_is_no_text_is_never_shown() {
    inside("stores::an_item_that_is_no_text_is_never_shown", Keyring::Unlocked, || {
        use std::collections::HashMap;
        keyring().check_readable().unwrap();
        let entry = keyring_core::Entry::new_with_modifiers("keyctl", "kabc#1", &HashMap::new()).unwrap();
        entry.set_secret(&[0xff, 0xfe, b'k', b'e', b'y']).unwrap();
        let error = keyring().get(&item(1)).unwrap_err();
        assert_eq!(error.problem, StoreProblem::Unreadable);
        assert!(!format!("{error:?}").contains("107"), "{error:?}");
    });
}
