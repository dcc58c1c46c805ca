//! The inventory file from outside: what is kept, what is refused and in which
//! words, who may write when, and what a crash leaves.

use std::fs;
use std::path::PathBuf;

use keyctl::inventory::{Inventory, InventoryFile, Place};
use keyctl::key::{Consumer, KeyRef, KeyState, Kind, Name, Record, RecordId, Scope};
use tempfile::TempDir;

mod edits;
mod messages;
mod saving;

/// A file in all the ways a person may write one.
pub const SAMPLE: &str = include_str!("inventory/sample.toml");

/// An inventory file in a folder of its own.
pub struct Desk {
    folder: TempDir,
    pub file: InventoryFile,
}

impl Desk {
    pub fn with(text: &str) -> Self {
        let desk = Self::empty();
        fs::write(desk.path(), text).unwrap();
        desk
    }

    pub fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = InventoryFile::at(folder.path().join("keyctl.toml"));
        Self { folder, file }
    }

    pub fn path(&self) -> PathBuf {
        self.file.path().to_owned()
    }

    pub fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// Changes the inventory and checks that the file says what was meant.
    pub fn change(&self, change: impl FnOnce(&mut Inventory)) -> String {
        let wanted = self
            .file
            .update(|inventory| {
                change(inventory);
                Ok(inventory.clone())
            })
            .unwrap_or_else(|error| panic!("{error:#}"));
        let mut wanted = wanted;
        for record in wanted.keys.values_mut() {
            let used = [record.current, record.pending, record.previous].into_iter().flatten().max();
            record.highest = record.highest.max(used.unwrap_or(0));
        }
        assert!(self.file.load().unwrap() == wanted, "{}", self.text());
        self.text()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

pub fn key(text: &str) -> KeyRef {
    text.parse().unwrap()
}

pub fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn record(id: &str, kind: Kind) -> Record {
    Record::new(RecordId::parse(id).unwrap(), kind)
}

/// Returns the lines that only one of two texts has: `-` the old, `+` the new.
fn changed_lines(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("-{}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+{}", new[j]));
            j += 1;
        }
    }
    lines
}

/// Asserts the whole difference that a change makes in the sample.
fn makes(change: impl FnOnce(&mut Inventory), expected: &[&str]) {
    let desk = Desk::with(SAMPLE);
    let new = desk.change(change);
    assert_eq!(changed_lines(SAMPLE, &new), expected);
}

#[test]
fn one_field_changes_one_line() {
    let of = key("mailgun@acme");
    makes(|it| it.keys.get_mut(&of).unwrap().pending = Some(4), &["+pending = 4"]);
    makes(
        |it| it.keys.get_mut(&of).unwrap().current = Some(4),
        &[
            "-current = 3                 # the version of the secret in use",
            "+current = 4                 # the version of the secret in use",
        ],
    );
    makes(|it| it.keys.get_mut(&of).unwrap().role = None, &["-role = \"admin\""]);
    makes(|it| it.keys.get_mut(&of).unwrap().state = KeyState::Disabled, &["+state = \"disabled\""]);
    makes(|it| it.default_scope = None, &["-default_scope = \"acme\""]);
    makes(|it| it.store = Some("file".to_owned()), &["-store = \"keyring\"", "+store = \"file\""]);
}

#[test]
fn a_text_of_several_lines_is_replaced_as_a_whole() {
    makes(
        |it| it.keys.get_mut(&key("mailgun@acme")).unwrap().note = Some("short".to_owned()),
        &[
            "-note = \"\"\"agency key,",
            "-pasted in 12 [locations]",
            "-# not a comment\"\"\"",
            "+note = \"short\"",
        ],
    );
}

#[test]
fn elements_of_arrays_come_and_go_alone() {
    let of = key("klaviyo@webshop");
    makes(
        |it| {
            let more = ["lists:read", "tags:read"].map(str::to_owned);
            it.keys.get_mut(&of).unwrap().permissions.extend(more);
        },
        &["-  \"profiles:read\"", "+  \"profiles:read\",", "+  \"lists:read\",", "+  \"tags:read\","],
    );
    makes(
        |it| drop(it.keys.get_mut(&of).unwrap().permissions.remove(0)),
        &["-  \"campaigns:read\", # for the reports"],
    );
    makes(
        |it| drop(it.keys.get_mut(&key("mailgun@acme/berlin")).unwrap().consumers.remove(0)),
        &[
            "-name = \"HighLevel, Settings > Email Services\"",
            "-kind = \"highlevel\"",
            "-location = \"acme/berlin\"",
            "-",
            "-[[key.\"mailgun@acme/berlin\".consumer]]",
        ],
    );
    makes(
        |it| it.keys.get_mut(&key("mailgun@acme/berlin")).unwrap().consumers.push(Consumer::manual("wiki")),
        &["+[[key.\"mailgun@acme/berlin\".consumer]]", "+name = \"wiki\"", "+kind = \"manual\"", "+"],
    );
}

#[test]
fn inline_and_dotted_tables_get_a_header_when_they_change() {
    let south = scope("webshop/south");
    let old = "-  location = { south = { name = \"South\", x-note = \"ours\" }, north = { domain = \"n.shop.example\" } }";
    let north = "+north = { domain = \"n.shop.example\" }";
    let kept = "+south = { name = \"South\", x-note = \"ours\" }";
    let (all, one) = ("+[agency.webshop.location]", "+[agency.webshop.location.south]");
    let (named, noted) = ("+name = \"South\"", "+x-note = \"ours\"");
    makes(
        |it| it.place_mut(&south).domain = Some("s.shop.example".parse().unwrap()),
        &["+", old, all, north, one, named, "+domain = \"s.shop.example\"", noted, "+"],
    );
    makes(|it| it.place_mut(&south).name = None, &["+", old, all, north, one, noted, "+"]);
    makes(
        |it| drop(it.agencies.get_mut(&name("webshop")).unwrap().locations.remove(&name("south"))),
        &["+", old, all, north],
    );
    makes(
        |it| it.place_mut(&scope("webshop/west")).name = Some("West".to_owned()),
        &["+", old, all, kept, north, "+[agency.webshop.location.west]", "+name = \"West\"", "+"],
    );
    makes(
        |it| it.place_mut(&scope("lone/only")).highlevel_id = Some("one".to_owned()),
        &[
            "-location.only.name = 'literal \"quotes\"'",
            "-location.only.domain = \"mg.lone.example\"",
            "+[agency.lone.location.only]",
            "+name = 'literal \"quotes\"'",
            "+highlevel_id = \"one\"",
            "+domain = \"mg.lone.example\"",
            "+",
        ],
    );
}

#[test]
fn a_new_key_stands_in_its_place() {
    makes(
        |it| {
            let mut new = record("knew2", Kind::Account);
            new.current = Some(1);
            it.keys.insert(key("mailgun@acme/paris"), new);
        },
        &["+[key.\"mailgun@acme/paris\"]", "+id = \"knew2\"", "+kind = \"account\"", "+current = 1", "+"],
    );
}

#[test]
fn a_removed_key_takes_its_tables_and_its_comment_along() {
    makes(
        |it| drop(it.keys.remove(&key("brevo:newsletter@acme"))),
        &[
            "-# A label tells keys of one provider apart.",
            "-[key.\"brevo:newsletter@acme\"]",
            "-id = \"kz2b7x5lpw3fq4mn2\"",
            "-kind = \"smtp\"",
            "-login = \"8a1b2c001@smtp-brevo.com\"",
            "-current = 1",
            "-fingerprint = \"5e6f708192a3\"",
            "-last2 = \"Q9\"",
            "-store = \"file\"",
            "-",
        ],
    );
}

#[test]
fn a_renamed_key_keeps_everything() {
    makes(
        |it| {
            let record = it.keys.remove(&key("mailgun@acme")).unwrap();
            it.keys.insert(key("mailgun:main@acme"), record);
        },
        &[
            "-[key.\"mailgun@acme\"]",
            "+[key.\"mailgun:main@acme\"]",
            "-[key.\"mailgun@acme\".x-history]",
            "+[key.\"mailgun:main@acme\".x-history]",
        ],
    );
}

#[test]
fn a_renamed_agency_keeps_everything() {
    makes(
        |it| {
            let agency = it.agencies.remove(&name("acme")).unwrap();
            it.agencies.insert(name("zeta"), agency);
        },
        &[
            "-[agency.acme]",
            "+[agency.zeta]",
            "-[agency.acme.location.berlin]",
            "+[agency.zeta.location.berlin]",
            "-[agency.acme.location.paris]",
            "+[agency.zeta.location.paris]",
            "-[agency.acme.location.rome]",
            "+[agency.zeta.location.rome]",
        ],
    );
    makes(
        |it| {
            let agency = it.agencies.get_mut(&name("acme")).unwrap();
            let place = agency.locations.remove(&name("berlin")).unwrap();
            agency.locations.insert(name("hamburg"), place);
        },
        &["-[agency.acme.location.berlin]", "+[agency.acme.location.hamburg]"],
    );
}

#[test]
fn an_agency_that_only_its_location_told_of_stays() {
    let desk = Desk::with(SAMPLE);
    let text = desk.change(|it| it.agencies.get_mut(&name("implied")).unwrap().locations.clear());
    assert!(text.contains("\n[agency.implied]\n"), "{text}");
}

#[test]
fn acknowledgements_of_two_people_merge_in_git() {
    let desk = Desk::with(SAMPLE);
    let text = desk.change(|it| {
        let rotation = it.rotations.values_mut().next().unwrap();
        rotation.consumers[1].state = keyctl::rotation::Progress::Acked;
        let mut third = rotation.consumers[1].clone();
        third.name = "third".to_owned();
        rotation.consumers.push(third);
    });
    let lines: Vec<&str> = text.lines().skip_while(|line| *line != "consumers = [").skip(1).take(6).collect();
    for (at, line) in lines.iter().take(5).enumerate() {
        // A line between the changed ones is what git needs to merge them.
        assert_eq!(line.is_empty(), at % 2 == 1, "{lines:?}");
    }
    assert_eq!(lines[5], "]");
}

#[test]
fn line_ends_and_byte_order_mark_stay() {
    let windows = format!("\u{feff}{}", SAMPLE.replace('\n', "\r\n"));
    let desk = Desk::with(&windows);
    let text = desk.change(|it| {
        it.keys.insert(key("brevo@new"), record("knew2", Kind::Api));
        it.keys.get_mut(&key("mailgun@acme")).unwrap().pending = Some(4);
    });
    assert!(text.starts_with('\u{feff}'));
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    assert_eq!(changed_lines(&windows, &text).iter().filter(|line| line.starts_with('-')).count(), 0);
}

#[test]
fn a_file_of_nothing_or_of_comments_is_begun() {
    let desk = Desk::with("");
    let text = desk.change(|it| it.store = Some("file".to_owned()));
    assert!(text.starts_with("# The inventory of keyctl"), "{text}");
    assert!(text.ends_with("version = 1\nstore = \"file\"\n"), "{text}");
    let desk = Desk::with("# mine");
    let text = desk.change(|it| *it.place_mut(&scope("acme")) = Place::default());
    assert_eq!(text, "# mine\n\nversion = 1\n\n[agency.acme]\n");
    let desk = Desk::with("store = 'file'");
    let text = desk.change(|it| drop(it.keys.insert(key("brevo@a"), record("knew2", Kind::Api))));
    assert_eq!(text, "store = 'file'\n\n[key.\"brevo@a\"]\nid = \"knew2\"\nkind = \"api\"\n");
}

#[test]
fn the_line_of_a_key_is_known() {
    let desk = Desk::with(SAMPLE);
    let lines = desk.file.lines().unwrap();
    let text: Vec<&str> = SAMPLE.lines().collect();
    assert_eq!(lines.len(), 4);
    for (key, line) in lines {
        assert!(text[line - 1].contains(key.as_str()), "{key}: line {line}");
    }
}

#[test]
fn scopes_are_those_of_tables_and_of_keys() {
    let desk =
        Desk::with("[key.\"brevo@b/deep\"]\nid = \"kaaa\"\nkind = \"api\"\n[agency.a]\nname = \"A\"\n");
    let inventory = desk.file.load().unwrap();
    let scopes: Vec<String> = inventory.scopes().map(|(scope, _)| scope.to_string()).collect();
    assert_eq!(scopes, ["a", "b", "b/deep"]);
    assert!(inventory.has_scope(&scope("b")) && !inventory.has_scope(&scope("b/other")));
    assert_eq!(inventory.only_scope(), None);
    assert_eq!(inventory.effective(&scope("b/deep")).len(), 1);
    assert_eq!(inventory.effective(&scope("b")).len(), 0);
    assert!(inventory.us_rule(&name("b")) && !inventory.us_rule(&name("a")));
}
