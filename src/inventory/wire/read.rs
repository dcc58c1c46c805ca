//! From a parsed file to the model. Every rule of the model that a person
//! editing the file could break is checked here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use toml::de::DeTable;

use super::VERSION;
use super::fail::{Fail, KEY_REF, one_of, shown, wrong, wrong_text};
use super::fields::Section;
use crate::clock;
use crate::inventory::{Agency, EmailProvider, Inventory, Keys, Place, Platform, Waiver};
use crate::key::{
    Consumer, ConsumerKind, CreateCall, Expiry, KeyRef, KeyState, Kind, Name, Record, RecordId, Region, Scope,
};
use crate::rotation::{
    Basis, Canary, Delivery, Liveness, Owner, Progress, Rotation, RotationId, Side, Source, Stage,
};

const ID: &str = "4 to 40 lower-case letters and digits";

/// Reads the whole file.
pub fn inventory(root: &DeTable<'_>) -> Result<Inventory, Fail> {
    let root = Section::top(root);
    version(&root)?;
    Ok(Inventory {
        store: root.store("store")?,
        default_scope: root.scope("default_scope")?,
        agencies: agencies(&root)?,
        keys: keys(&root)?,
        rotations: rotations(&root)?,
        waivers: root.items("waiver")?.iter().map(waiver).collect::<Result<_, _>>()?,
    })
}

/// A file without `version` is one that a person began: version 1.
fn version(root: &Section<'_>) -> Result<(), Fail> {
    let supported = u32::try_from(VERSION).unwrap_or(1);
    match root.number("version", 1)? {
        Some(newer) if newer > supported => {
            let span = root.table.get("version").map_or(0..0, toml::Spanned::span);
            let program = env!("CARGO_PKG_VERSION");
            Err(Fail {
                span,
                message: format!(
                    "this inventory has version {newer}; keyctl {program} reads version {supported} only"
                ),
                hint: Some(format!(
                    "update keyctl to a release that reads inventory version {newer}; nothing was changed"
                )),
            })
        }
        _ => Ok(()),
    }
}

fn agencies(root: &Section<'_>) -> Result<BTreeMap<Name, Agency>, Fail> {
    let mut agencies = BTreeMap::new();
    for (text, section) in root.sections("agency")? {
        // A scope without location: an agency name is none of the providers'.
        let name = match text.parse::<Scope>() {
            Ok(Scope { agency, location: None }) => agency,
            Ok(_) => return Err(bad_name("agency", text, "it has a `/`", &section)),
            Err(error) => return Err(bad_name("agency", text, &error.to_string(), &section)),
        };
        let mut locations = BTreeMap::new();
        for (text, section) in section.sections("location")? {
            let location = Name::parse(text)
                .map_err(|error| bad_name("location", text, &error.to_string(), &section))?;
            locations.insert(location, place(&section)?);
        }
        agencies.insert(name, Agency { place: place(&section)?, locations });
    }
    Ok(agencies)
}

fn bad_name(what: &str, text: &str, reason: &str, section: &Section<'_>) -> Fail {
    let place = format!("[{what}.…]");
    let mut fail = wrong_text(
        &place,
        text,
        "a name of a-z, 0-9 and single `-`, at most 63 characters, not that of a provider",
        section.span.clone(),
    );
    if fail.hint.is_none() {
        fail.hint = Some(reason.to_owned());
    }
    fail
}

fn place(section: &Section<'_>) -> Result<Place, Fail> {
    Ok(Place {
        name: section.text("name")?,
        highlevel_id: section.line("highlevel_id")?,
        domain: section.domain("domain")?,
        platform: section.word("platform", &Platform::ALL.map(Platform::as_str))?,
        email_provider: section.word("email_provider", &EmailProvider::ALL.map(EmailProvider::as_str))?,
        rotate_every: section.parsed("rotate_every", "a duration such as `90d`", |text| {
            text.parse::<clock::Span>().ok().map(|_| text.to_owned())
        })?,
        missing: section.date("missing")?,
        gone: section.flag("gone")?,
        imported: section.date("imported")?,
    })
}

fn keys(root: &Section<'_>) -> Result<Keys, Fail> {
    let sections = root.sections("key")?;
    let mut records: Vec<(KeyRef, Record)> = Vec::with_capacity(sections.len());
    let mut owners: HashMap<&str, &str> = HashMap::with_capacity(sections.len());
    for (text, section) in sections {
        let key: KeyRef = text.parse().map_err(|error: crate::key::reference::ReferenceError| {
            let mut fail = wrong_text("[key.…]", text, KEY_REF, section.span.clone());
            fail.hint.get_or_insert_with(|| match error {
                crate::key::reference::ReferenceError::Name(crate::key::NameError::Empty) => {
                    format!("write the scope too: {} has no `@AGENCY`", shown(text))
                }
                other => other.to_string(),
            });
            fail
        })?;
        let record = record(&key, &section)?;
        let id = section.table.get("id").and_then(|it| it.get_ref().as_str()).unwrap_or_default();
        if let Some(other) = owners.insert(id, text) {
            let mut fail = wrong(
                &section.place_of("id"),
                &format!("the id of `{other}` too"),
                "an id of its own",
                section.table.get("id").map_or(section.span.clone(), toml::Spanned::span),
            );
            fail.hint = Some("both would share their secrets; `keyctl add` makes a new id".to_owned());
            return Err(fail);
        }
        records.push((key, record));
    }
    Ok(records.into_iter().collect())
}

fn record(key: &KeyRef, section: &Section<'_>) -> Result<Record, Fail> {
    let id = section.required("id", || ID.to_owned(), RecordId::parse)?;
    let expected = || {
        let issued: Vec<&str> = key.provider.kinds().iter().map(|kind| kind.as_str()).collect();
        format!("a kind that {} issues: {}", key.provider, one_of(&issued))
    };
    let kind = section.required("kind", expected, |text| {
        text.parse::<Kind>().ok().filter(|kind| key.provider.kinds().contains(kind))
    })?;
    let (current, pending, previous, highest) = versions(section)?;
    Ok(Record {
        id,
        kind,
        state: section.word("state", &KeyState::ALL.map(KeyState::as_str))?.unwrap_or_default(),
        region: section.word("region", &Region::ALL.map(Region::as_str))?,
        domain: section.domain("domain")?,
        login: section.line("login")?,
        store: section.store("store")?,
        current,
        pending,
        previous,
        highest,
        create_call: create_call(section)?,
        fingerprint: section.fingerprint("fingerprint")?,
        last2: section.parsed("last2", "at most two characters", |text| {
            (text.chars().count() <= 2).then(|| text.to_owned())
        })?,
        created: section.date("created")?,
        expires: expires(section)?,
        identity: section.text("identity")?,
        account_id: section.text("account_id")?,
        role: section.text("role")?,
        remote_id: section.text("remote_id")?,
        remote_name: section.text("remote_name")?,
        permissions: section.texts("permissions")?,
        note: section.text("note")?,
        consumers: consumers(section)?,
    })
}

fn create_call(section: &Section<'_>) -> Result<Option<CreateCall>, Fail> {
    let using = section.key_ref("asked_with")?;
    Ok(section.date("asked_at")?.map(|at| CreateCall { at, using }))
}

type Versions = (Option<u32>, Option<u32>, Option<u32>, u32);

fn versions(section: &Section<'_>) -> Result<Versions, Fail> {
    let named = ["current", "pending", "previous"];
    let [current, pending, previous] = named.map(|field| section.number(field, 1));
    let (current, pending, previous) = (current?, pending?, previous?);
    let used = [current, pending, previous].into_iter().flatten().max().unwrap_or(0);
    let highest = section.number("highest", 0)?.unwrap_or(used);
    for (field, version) in named.into_iter().zip([current, pending, previous]) {
        if let Some(version) = version.filter(|it| *it > highest) {
            return Err(wrong(
                &section.place_of(field),
                &format!("the number {version}"),
                &format!("at most `highest`, which is {highest}"),
                section.table.get(field).map_or(section.span.clone(), toml::Spanned::span),
            ));
        }
    }
    Ok((current, pending, previous, highest))
}

fn expires(section: &Section<'_>) -> Result<Expiry, Fail> {
    if let Ok(Some("never")) = section.parsed("expires", "", Some) {
        return Ok(Expiry::Never);
    }
    match section.date("expires") {
        Ok(at) => Ok(at.map_or(Expiry::Unknown, Expiry::At)),
        Err(mut fail) => {
            fail.message.push_str(", or `never`");
            Err(fail)
        }
    }
}

fn consumers(section: &Section<'_>) -> Result<Vec<Consumer>, Fail> {
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for item in section.items("consumer")? {
        let name = item.line("name")?.ok_or_else(|| item.lacks("name", "the name of a place"))?;
        if !names.insert(name.clone()) {
            return Err(wrong(
                &item.place_of("name"),
                &format!("{}, as another consumer of this key is", shown(&name)),
                "a name of its own",
                item.table.get("name").map_or(item.span.clone(), toml::Spanned::span),
            ));
        }
        all.push(Consumer {
            name,
            kind: item
                .word("kind", &ConsumerKind::ALL.map(ConsumerKind::as_str))?
                .unwrap_or(ConsumerKind::Manual),
            location: item.scope("location")?,
            url: item.seen_line("url")?,
            command: item.seen_texts("command")?,
        });
    }
    Ok(all)
}

fn rotations(root: &Section<'_>) -> Result<BTreeMap<RotationId, Rotation>, Fail> {
    let mut rotations = BTreeMap::new();
    for (text, section) in root.sections("rotation")? {
        let id = RotationId::parse(text)
            .ok_or_else(|| wrong_text("[rotation.…]", text, ID, section.span.clone()))?;
        rotations.insert(id.clone(), rotation(id, &section)?);
    }
    Ok(rotations)
}

fn rotation(id: RotationId, section: &Section<'_>) -> Result<Rotation, Fail> {
    let keys =
        section.list("keys", &format!("an array, each {KEY_REF}"), |text| text.parse::<KeyRef>().ok())?;
    let Some(first) = keys.first() else {
        return Err(section.lacks("keys", "an array with the keys that rotate"));
    };
    Ok(Rotation {
        id,
        stage: section
            .word("stage", &Stage::ALL.map(Stage::as_str))?
            .ok_or_else(|| section.lacks("stage", "where the rotation stands"))?,
        started: section.date("started")?.ok_or_else(|| section.lacks("started", "a date"))?,
        using: section.key_ref("using")?,
        grace_seconds: section.duration("grace")?.unwrap_or(0),
        grace_until: section.date("grace_until")?,
        switched_at: section.date("switched_at")?,
        used_at: section.date("used_at")?,
        deadline: section.date("deadline")?,
        compromised: section.flag("compromised")?,
        kill_now: section.flag("kill_now")?,
        permissions: section.texts("permissions")?,
        held: section.texts("held")?,
        held_whole: section.flag("held_whole")?,
        old: side(section.section("old")?)?,
        new: side(section.section("new")?)?,
        consumers: deliveries(section, first)?,
        canary: section.word("canary", &Canary::ALL.map(Canary::as_str))?,
        evidence: section.items("evidence")?.into_iter().map(|it| basis(&it)).collect::<Result<_, _>>()?,
        owner: section.section("owner")?.map(|it| owner(&it)).transpose()?,
        trouble: section.text("trouble")?,
        keys,
    })
}

fn side(section: Option<Section<'_>>) -> Result<Side, Fail> {
    let Some(section) = section else { return Ok(Side::default()) };
    Ok(Side {
        fingerprint: section.fingerprint("fingerprint")?,
        last2: section.text("last2")?,
        remote_id: section.text("remote_id")?,
        login: section.text("login")?,
        state: section.word("state", &Liveness::ALL.map(Liveness::as_str))?,
        name: section.text("name")?,
        role: section.text("role")?,
        created: section.date("created")?,
        expires: expires(&section)?,
        permissions: section.texts("permissions")?,
        foreign: section.flag("foreign")?,
    })
}

fn deliveries(section: &Section<'_>, first: &KeyRef) -> Result<Vec<Delivery>, Fail> {
    let read = |item: Section<'_>| {
        Ok(Delivery {
            key: item.key_ref("key")?.unwrap_or_else(|| first.clone()),
            name: item.line("name")?.ok_or_else(|| item.lacks("name", "the name of a consumer"))?,
            kind: item
                .word("kind", &ConsumerKind::ALL.map(ConsumerKind::as_str))?
                .unwrap_or(ConsumerKind::Manual),
            state: item.word("state", &Progress::ALL.map(Progress::as_str))?.unwrap_or(Progress::Todo),
            by: item.text("by")?,
            at: item.date("at")?,
        })
    };
    section.items("consumers")?.into_iter().map(read).collect()
}

fn basis(item: &Section<'_>) -> Result<Basis, Fail> {
    Ok(Basis {
        of: item.text("of")?.ok_or_else(|| item.lacks("of", "what is known"))?,
        source: item
            .word("source", &Source::ALL.map(Source::as_str))?
            .ok_or_else(|| item.lacks("source", "where it is known from"))?,
        by: item.text("by")?.unwrap_or_default(),
        at: item.date("at")?.ok_or_else(|| item.lacks("at", "a date"))?,
        detail: item.text("detail")?.unwrap_or_default(),
    })
}

fn owner(section: &Section<'_>) -> Result<Owner, Fail> {
    Ok(Owner {
        user: section.text("user")?.ok_or_else(|| section.lacks("user", "a name"))?,
        host: section.text("host")?.ok_or_else(|| section.lacks("host", "a name"))?,
        pid: section.number("pid", 0)?.ok_or_else(|| section.lacks("pid", "a process id"))?,
        token: section.text("token")?.unwrap_or_default(),
        space: section.text("space")?,
        at: section.date("at")?.ok_or_else(|| section.lacks("at", "a date"))?,
    })
}

fn waiver(section: &Section<'_>) -> Result<Waiver, Fail> {
    Ok(Waiver {
        finding: section.line("finding")?.ok_or_else(|| section.lacks("finding", "the id of a finding"))?,
        key: section.key_ref("key")?,
        scope: section.scope("scope")?,
        about: section.line("about")?,
        reason: section.text("reason")?.ok_or_else(|| section.lacks("reason", "why it is accepted"))?,
        until: section.date("until")?,
    })
}
