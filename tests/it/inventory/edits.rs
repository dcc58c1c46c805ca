//! Random changes of the model: the file says afterwards what was meant, and
//! of the text only lines that belong to the change are touched.

use keyctl::clock;
use keyctl::inventory::{EmailProvider, Inventory, Platform, Waiver};
use keyctl::key::{Consumer, ConsumerKind, Expiry, Kind, Name, Region};
use keyctl::rotation::{
    Basis, Canary, Delivery, Liveness, Owner, Progress, Rotation, RotationId, Side, Source, Stage,
};
use proptest::prelude::*;

use super::{Desk, SAMPLE, changed_lines, key, name, record, scope};

/// One change. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Edit {
    Text(usize, u8, Option<String>),
    Versions(usize, Option<u32>, Option<u32>),
    Expires(usize, Option<i64>),
    Permissions(usize, Vec<String>),
    Consumers(usize, Vec<(String, bool)>),
    AddKey(u8, u8),
    RemoveKey(usize),
    RenameKey(usize, u8),
    Place(usize, u8, Option<String>),
    AddLocation(usize, u8),
    RemoveLocation(usize),
    RenameAgency(usize, u8),
    RemoveAgency(usize),
    Top(Option<String>),
    StartRotation(u8, usize),
    Deliver(usize, u8),
    Own(bool),
    EndRotation,
    Waive(usize, String),
    Unwaive(usize),
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        "[ -~]{1,20}".prop_filter("something to see", |it| !it.trim().is_empty()),
        Just("ä \"quoted\" \\ # [x] = {1}".to_owned()),
        Just("two\nlines\tand a tab".to_owned()),
    ]
}

fn line() -> impl Strategy<Value = String> {
    text().prop_map(|it| it.replace(['\n', '\t'], " "))
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = 0..64usize;
    let some = || proptest::option::of(text());
    let version = || proptest::option::of(1..9u32);
    prop_oneof![
        3 => (at.clone(), any::<u8>(), some()).prop_map(|(a, b, c)| Edit::Text(a, b, c)),
        2 => (at.clone(), version(), version()).prop_map(|(a, b, c)| Edit::Versions(a, b, c)),
        1 => (at.clone(), proptest::option::of(-1..2_000_000_000i64)).prop_map(|(a, b)| Edit::Expires(a, b)),
        2 => (at.clone(), proptest::collection::vec("[a-e]:read", 0..5)).prop_map(|(a, b)| Edit::Permissions(a, b)),
        2 => (at.clone(), proptest::collection::vec((line(), any::<bool>()), 0..4))
            .prop_map(|(a, b)| Edit::Consumers(a, b)),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Edit::AddKey(a, b)),
        1 => at.clone().prop_map(Edit::RemoveKey),
        1 => (at.clone(), any::<u8>()).prop_map(|(a, b)| Edit::RenameKey(a, b)),
        3 => (at.clone(), any::<u8>(), some()).prop_map(|(a, b, c)| Edit::Place(a, b, c)),
        2 => (at.clone(), any::<u8>()).prop_map(|(a, b)| Edit::AddLocation(a, b)),
        1 => at.clone().prop_map(Edit::RemoveLocation),
        1 => (at.clone(), any::<u8>()).prop_map(|(a, b)| Edit::RenameAgency(a, b)),
        1 => at.clone().prop_map(Edit::RemoveAgency),
        1 => proptest::option::of(line()).prop_map(Edit::Top),
        1 => (any::<u8>(), at.clone()).prop_map(|(a, b)| Edit::StartRotation(a, b)),
        3 => (at.clone(), any::<u8>()).prop_map(|(a, b)| Edit::Deliver(a, b)),
        1 => any::<bool>().prop_map(Edit::Own),
        1 => Just(Edit::EndRotation),
        1 => (at.clone(), text()).prop_map(|(a, b)| Edit::Waive(a, b)),
        1 => at.prop_map(Edit::Unwaive),
    ]
}

impl Edit {
    /// Does it; on nothing to choose from, nothing.
    fn make(&self, inventory: &mut Inventory) -> Option<()> {
        match self {
            Self::Text(..)
            | Self::Versions(..)
            | Self::Expires(..)
            | Self::Permissions(..)
            | Self::Consumers(..)
            | Self::AddKey(..)
            | Self::RemoveKey(..)
            | Self::RenameKey(..) => self.make_at_key(inventory),
            Self::Place(..)
            | Self::AddLocation(..)
            | Self::RemoveLocation(..)
            | Self::RenameAgency(..)
            | Self::RemoveAgency(..) => self.make_at_scope(inventory),
            Self::Top(store) => {
                inventory.store.clone_from(store);
                Some(())
            }
            Self::Waive(at, reason) => {
                let finding = format!("finding-{}", at % 5);
                let key = (at % 2 == 0).then(|| key("mailgun@acme"));
                let waiver =
                    Waiver { finding, key, scope: None, about: None, reason: reason.clone(), until: None };
                let place = at % (inventory.waivers.len() + 1);
                inventory.waivers.insert(place, waiver);
                Some(())
            }
            Self::Unwaive(at) => {
                let count = inventory.waivers.len();
                at.checked_rem(count).map(|at| drop(inventory.waivers.remove(at)))
            }
            Self::StartRotation(..) | Self::Deliver(..) | Self::Own(_) | Self::EndRotation => {
                self.make_at_rotation(inventory)
            }
        }
    }

    fn make_at_key(&self, inventory: &mut Inventory) -> Option<()> {
        if let Self::AddKey(place, id) = self {
            let scopes = ["acme", "acme/berlin", "webshop", "new", "new/place"];
            let new = key(&format!("brevo:l{id}@{}", scopes[*place as usize % scopes.len()]));
            inventory.keys.entry(new).or_insert_with(|| {
                let mut new = record(&format!("kadd{place}x{id}"), Kind::Api);
                new.consumers = vec![Consumer::manual("first")];
                new
            });
            return Some(());
        }
        let (Self::Text(at, ..)
        | Self::Versions(at, ..)
        | Self::Expires(at, _)
        | Self::Permissions(at, _)
        | Self::Consumers(at, _)
        | Self::RemoveKey(at)
        | Self::RenameKey(at, _)) = self
        else {
            return None;
        };
        let chosen = inventory.keys.keys().nth(at.checked_rem(inventory.keys.len())?)?.clone();
        match self {
            Self::RemoveKey(_) => drop(inventory.keys.remove(&chosen)),
            Self::RenameKey(_, label) => {
                let new = keyctl::key::KeyRef::new(
                    chosen.provider,
                    Some(name(&format!("r{label}"))),
                    chosen.scope.clone(),
                );
                if !inventory.keys.contains_key(&new) {
                    let record = inventory.keys.remove(&chosen)?;
                    inventory.keys.insert(new, record);
                }
            }
            _ => self.make_in_record(inventory.keys.get_mut(&chosen)?),
        }
        Some(())
    }

    fn make_in_record(&self, record: &mut keyctl::key::Record) {
        match self {
            Self::Text(_, field, text) => match field % 6 {
                0 => record.note.clone_from(text),
                1 => record.remote_name.clone_from(text),
                2 => record.role.clone_from(text),
                3 => record.region = text.as_ref().map(|_| Region::Eu),
                4 => record.identity.clone_from(text),
                _ => record.last2 = text.as_ref().map(|it| it.chars().take(2).collect()),
            },
            Self::Versions(_, current, pending) => {
                record.current = *current;
                record.pending = *pending;
                record.create_call = pending.map(|n| keyctl::key::CreateCall {
                    at: jiff_timestamp(n.into()),
                    using: (n % 2 == 0).then(|| key("mailgun@acme")),
                });
                record.highest = record.highest.max(current.unwrap_or(0)).max(pending.unwrap_or(0));
            }
            Self::Expires(_, at) => {
                record.expires = match at {
                    None => Expiry::Unknown,
                    Some(-1) => Expiry::Never,
                    Some(second) => Expiry::At(jiff_timestamp(*second)),
                }
            }
            Self::Permissions(_, all) => record.permissions.clone_from(all),
            Self::Consumers(_, all) => {
                // Some of what was there stays, so that elements match.
                record.consumers.truncate(1);
                for (name, command) in all {
                    let mut new = Consumer::manual(name.clone());
                    if *command {
                        new.kind = ConsumerKind::Command;
                        new.command = vec!["tool".to_owned(), name.clone()];
                    }
                    if record.consumers.iter().all(|it| it.name != *name) {
                        record.consumers.push(new);
                    }
                }
            }
            _ => {}
        }
    }

    fn make_at_scope(&self, inventory: &mut Inventory) -> Option<()> {
        let agency_at = |inventory: &Inventory, at: usize| -> Option<Name> {
            inventory.agencies.keys().nth(at.checked_rem(inventory.agencies.len())?).cloned()
        };
        match self {
            Self::Place(at, field, text) => {
                let scopes: Vec<_> = inventory.scopes().map(|(scope, _)| scope).collect();
                let place = inventory.place_mut(&scopes[at.checked_rem(scopes.len())?]);
                match field % 6 {
                    0 => place.name.clone_from(text),
                    1 => place.platform = text.as_ref().map(|_| Platform::None),
                    2 => place.email_provider = text.as_ref().map(|_| EmailProvider::Other),
                    3 => place.gone = text.is_some(),
                    4 => place.missing = text.as_ref().map(|_| "2026-11-22T08:00:00Z".parse().unwrap()),
                    _ => place.domain = text.as_ref().map(|_| "mg.other.example".parse().unwrap()),
                }
            }
            Self::AddLocation(at, id) => {
                let agency = agency_at(inventory, *at)?;
                let place = inventory.place_mut(&scope(&format!("{agency}/n{id}")));
                if id % 2 == 0 {
                    place.name = Some("Müller & Söhne".to_owned());
                }
            }
            Self::RemoveLocation(at) => {
                let agency = agency_at(inventory, *at)?;
                let locations = &mut inventory.agencies.get_mut(&agency)?.locations;
                let first = locations.keys().next()?.clone();
                locations.remove(&first);
            }
            Self::RenameAgency(at, id) => {
                let agency = agency_at(inventory, *at)?;
                let held = inventory.agencies.remove(&agency)?;
                inventory.agencies.insert(name(&format!("renamed{id}")), held);
            }
            Self::RemoveAgency(at) => drop(inventory.agencies.remove(&agency_at(inventory, *at)?)),
            _ => {}
        }
        Some(())
    }

    fn make_at_rotation(&self, inventory: &mut Inventory) -> Option<()> {
        if let Self::StartRotation(id, at) = self {
            let key = inventory.keys.keys().nth(at.checked_rem(inventory.keys.len())?)?.clone();
            let new = rotation(&format!("rnew{id}"), key);
            inventory.rotations.insert(new.id.clone(), new);
            return Some(());
        }
        let id = inventory.rotations.keys().next()?.clone();
        if matches!(self, Self::EndRotation) {
            inventory.rotations.remove(&id);
            return Some(());
        }
        let rotation = inventory.rotations.get_mut(&id)?;
        match self {
            Self::Deliver(at, what) => {
                let count = rotation.consumers.len();
                let mut delivery = rotation.consumers.get(at.checked_rem(count)?)?.clone();
                match what % 4 {
                    0 => {
                        delivery.name = format!("c{what}");
                        if rotation.consumers.iter().all(|it| it.name != delivery.name) {
                            rotation.consumers.insert(at % (count + 1), delivery);
                        }
                    }
                    1 => drop(rotation.consumers.remove(at % count)),
                    2 => rotation.consumers.reverse(),
                    _ => {
                        delivery.state = Progress::Acked;
                        delivery.by = Some("bo".to_owned());
                        rotation.consumers[at % count] = delivery;
                        rotation.stage = Stage::Grace;
                        rotation.grace_seconds += 7;
                    }
                }
            }
            Self::Own(owned) => {
                let at = jiff_timestamp(1_800_000_000);
                let (token, space) = ("0a1b".to_owned(), Some("boot-7".to_owned()));
                let (user, host) = ("ana".to_owned(), "desk".to_owned());
                let owner = Owner { user, host, pid: 7, token, space, at };
                rotation.owner = owned.then_some(owner);
                rotation.old = if *owned { Side::default() } else { rotation.new.clone() };
            }
            _ => {}
        }
        Some(())
    }
}

fn jiff_timestamp(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(second).unwrap()
}

fn rotation(id: &str, key: keyctl::key::KeyRef) -> Rotation {
    let side = Side { state: Some(Liveness::Live), ..Side::default() };
    let delivery = Delivery {
        key: key.clone(),
        name: "shop".to_owned(),
        kind: ConsumerKind::Manual,
        state: Progress::Todo,
        by: None,
        at: None,
    };
    Rotation {
        id: RotationId::parse(id).unwrap(),
        keys: vec![key],
        stage: Stage::Planned,
        started: clock::date("2026-11-22").unwrap(),
        using: None,
        grace_seconds: 3_600,
        grace_until: None,
        switched_at: None,
        used_at: None,
        deadline: None,
        compromised: false,
        kill_now: true,
        permissions: vec!["lists:read".to_owned()],
        held: vec!["lists:read".to_owned()],
        held_whole: true,
        old: side.clone(),
        new: Side::default(),
        consumers: vec![delivery],
        canary: Some(Canary::Open),
        evidence: vec![Basis {
            of: "the old key is dead".to_owned(),
            source: Source::Testimony,
            by: "ana".to_owned(),
            at: clock::date("2026-11-23").unwrap(),
            detail: "deleted in the console".to_owned(),
        }],
        owner: None,
        trouble: Some("a line".to_owned()),
    }
}

/// Changes that take no table or element away.
fn only_adds(edit: &Edit) -> bool {
    matches!(
        edit,
        Edit::Text(..)
            | Edit::Versions(..)
            | Edit::Expires(..)
            | Edit::AddKey(..)
            | Edit::Place(..)
            | Edit::AddLocation(..)
            | Edit::Top(_)
            | Edit::StartRotation(..)
            | Edit::Waive(..)
    )
}

/// Asserts that no comment line, no foreign field and no header was lost.
fn nothing_foreign_is_lost(old: &str, new: &str) {
    for line in changed_lines(old, new) {
        let Some(lost) = line.strip_prefix('-') else { continue };
        let lost = lost.trim();
        let foreign = lost.starts_with("# ") && lost != "# not a comment\"\"\""
            || lost.starts_with("x-")
            || lost.starts_with('[');
        assert!(!foreign, "lost: {lost}");
    }
}

const ODD_FORMS: &str = include_str!("odd_forms.toml");

/// What is foreign in it, and comments on what no change that only adds replaces.
const FOREIGN: [&str; 11] = [
    "x-a = 1",
    "x-note = \"ours\"",
    "x-only = true",
    "x-q = 1",
    "x-team = { name = \"mail\" }",
    "x-last = 2",
    "# why",
    "# one",
    "# multi-line",
    "# berlin's",
    "# agencies",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changes_are_written_as_meant(edits in proptest::collection::vec(edit(), 1..6), windows in any::<bool>()) {
        let start = if windows { SAMPLE.replace('\n', "\r\n") } else { SAMPLE.to_owned() };
        let desk = Desk::with(&start);
        for edit in &edits {
            let old = desk.text();
            let new = desk.change(|inventory| edit.make(inventory).unwrap_or_default());
            if only_adds(edit) {
                nothing_foreign_is_lost(&old, &new);
            }
            prop_assert_eq!(windows, new.contains("\r\n"));
            prop_assert!(!windows || new.matches('\n').count() == new.matches("\r\n").count());
            prop_assert!(new.contains("anything = true") && new.contains("# The end."));
        }
        // All at once is as good as one by one.
        let at_once = Desk::with(&start);
        at_once.change(|inventory| edits.iter().for_each(|edit| edit.make(inventory).unwrap_or_default()));
        prop_assert!(at_once.file.load().unwrap() == desk.file.load().unwrap());
    }

    #[test]
    fn what_gets_a_header_to_be_changed_keeps_what_is_foreign(edits in proptest::collection::vec(edit(), 1..6), windows in any::<bool>()) {
        let desk = Desk::with(&if windows { ODD_FORMS.replace('\n', "\r\n") } else { ODD_FORMS.to_owned() });
        for edit in &edits {
            let old = desk.text();
            let new = desk.change(|inventory| edit.make(inventory).unwrap_or_default());
            for foreign in FOREIGN.iter().filter(|it| only_adds(edit) && old.contains(**it)) {
                prop_assert!(new.contains(foreign), "lost: {}", foreign);
            }
            prop_assert!(!windows || new.matches('\n').count() == new.matches("\r\n").count());
        }
    }

    #[test]
    fn a_change_and_its_opposite_leave_no_trace_in_the_lines_of_others(edit in edit()) {
        let desk = Desk::with(SAMPLE);
        let before = desk.file.load().unwrap();
        desk.change(|inventory| edit.make(inventory).unwrap_or_default());
        let back = desk.change(|inventory| *inventory = before.clone());
        if only_adds(&edit) {
            nothing_foreign_is_lost(SAMPLE, &back);
        }
    }
}
