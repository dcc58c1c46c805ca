//! From the model to fields in the order they are written. What has its
//! default is left out, so an absent field and its default are the same thing.

use jiff::Timestamp;

use crate::inventory::{Inventory, Place, Waiver};
use crate::key::{Consumer, Expiry, KeyState, Record};
use crate::rotation::{Basis, Delivery, Owner, Rotation, Side};

/// One value of the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    Text(String),
    Number(i64),
    Flag(bool),
    Texts(Vec<String>),
    Table(Fields),
    /// Tables in an array; `Layout` says how a new one is written.
    List(Layout, Vec<Fields>),
}

/// How a new array of tables is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `[[path]]` each.
    Tables,
    /// `path = [`, then one line each.
    Lines,
}

/// The fields of one table, in writing order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Fields(pub Vec<(&'static str, Node)>);

impl Fields {
    pub fn get(&self, field: &str) -> Option<&Node> {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, node)| node)
    }

    fn put(&mut self, field: &'static str, node: Node) {
        self.0.push((field, node));
    }

    fn text(&mut self, field: &'static str, text: Option<&str>) {
        self.0.extend(text.map(|text| (field, Node::Text(text.to_owned()))));
    }

    fn flag(&mut self, field: &'static str, flag: bool) {
        self.0.extend(flag.then_some((field, Node::Flag(true))));
    }

    fn number(&mut self, field: &'static str, number: Option<u32>) {
        self.0.extend(number.map(|number| (field, Node::Number(number.into()))));
    }

    /// Fractions of a second are kept where a person wrote some.
    fn date(&mut self, field: &'static str, at: Option<Timestamp>) {
        self.0.extend(at.map(|at| (field, Node::Text(at.to_string()))));
    }

    fn expiry(&mut self, expires: Expiry) {
        match expires {
            Expiry::Unknown => {}
            Expiry::Never => self.text("expires", Some("never")),
            Expiry::At(at) => self.date("expires", Some(at)),
        }
    }

    fn texts(&mut self, field: &'static str, texts: &[String]) {
        if !texts.is_empty() {
            self.put(field, Node::Texts(texts.to_vec()));
        }
    }

    fn list(&mut self, field: &'static str, layout: Layout, items: Vec<Fields>) {
        if !items.is_empty() {
            self.put(field, Node::List(layout, items));
        }
    }

    fn table(&mut self, field: &'static str, fields: Fields) {
        if !fields.0.is_empty() {
            self.put(field, Node::Table(fields));
        }
    }
}

/// Returns the fields at the top of the file, `version` aside.
pub fn top(inventory: &Inventory) -> Fields {
    let mut fields = Fields::default();
    fields.text("store", inventory.store.as_deref());
    fields.text("default_scope", inventory.default_scope.as_ref().map(ToString::to_string).as_deref());
    fields
}

/// Returns the list at the end of the file.
pub fn waivers(inventory: &Inventory) -> Fields {
    let mut fields = Fields::default();
    fields.list("waiver", Layout::Tables, inventory.waivers.iter().map(waiver).collect());
    fields
}

pub fn place(place: &Place) -> Fields {
    let mut fields = Fields::default();
    fields.text("name", place.name.as_deref());
    fields.text("highlevel_id", place.highlevel_id.as_deref());
    fields.text("domain", place.domain.as_ref().map(|it| it.as_str()));
    fields.text("platform", place.platform.map(|it| it.as_str()));
    fields.text("email_provider", place.email_provider.map(|it| it.as_str()));
    fields.text("rotate_every", place.rotate_every.as_deref());
    fields.date("missing", place.missing);
    fields.flag("gone", place.gone);
    fields.date("imported", place.imported);
    fields
}

/// Returns the fields of a record. `highest` is left out where it follows
/// from the versions in use, unless the file has it (`with_highest`).
pub fn record(record: &Record, with_highest: bool) -> Fields {
    let mut fields = Fields::default();
    fields.text("id", Some(record.id.as_str()));
    fields.text("kind", Some(record.kind.as_str()));
    fields.text("state", (record.state != KeyState::Active).then(|| record.state.as_str()));
    fields.text("region", record.region.map(|it| it.as_str()));
    fields.text("domain", record.domain.as_ref().map(|it| it.as_str()));
    fields.text("login", record.login.as_deref());
    fields.text("store", record.store.as_deref());
    fields.number("current", record.current);
    fields.number("pending", record.pending);
    fields.number("previous", record.previous);
    let used = [record.current, record.pending, record.previous].into_iter().flatten().max();
    let told = with_highest || record.highest != used.unwrap_or(0);
    fields.number("highest", told.then_some(record.highest));
    fields.date("asked_at", record.create_call.as_ref().map(|it| it.at));
    let asked_with = record.create_call.as_ref().and_then(|it| it.using.as_ref());
    fields.text("asked_with", asked_with.map(|it| it.as_str()));
    fields.text("fingerprint", record.fingerprint.as_ref().map(|it| it.as_str()));
    fields.text("last2", record.last2.as_deref());
    fields.date("created", record.created);
    fields.expiry(record.expires);
    fields.text("identity", record.identity.as_deref());
    fields.text("account_id", record.account_id.as_deref());
    fields.text("role", record.role.as_deref());
    fields.text("remote_id", record.remote_id.as_deref());
    fields.text("remote_name", record.remote_name.as_deref());
    fields.texts("permissions", &record.permissions);
    fields.text("note", record.note.as_deref());
    fields.list("consumer", Layout::Tables, record.consumers.iter().map(consumer).collect());
    fields
}

fn consumer(consumer: &Consumer) -> Fields {
    let mut fields = Fields::default();
    fields.text("name", Some(&consumer.name));
    fields.text("kind", Some(consumer.kind.as_str()));
    fields.text("location", consumer.location.as_ref().map(ToString::to_string).as_deref());
    fields.text("url", consumer.url.as_deref());
    fields.texts("command", &consumer.command);
    fields
}

pub fn rotation(rotation: &Rotation) -> Fields {
    let mut fields = Fields::default();
    fields.texts("keys", &rotation.keys.iter().map(ToString::to_string).collect::<Vec<_>>());
    fields.text("stage", Some(rotation.stage.as_str()));
    fields.date("started", Some(rotation.started));
    fields.text("using", rotation.using.as_ref().map(|it| it.as_str()));
    if rotation.grace_seconds != 0 {
        fields.put("grace", duration(rotation.grace_seconds));
    }
    fields.date("grace_until", rotation.grace_until);
    fields.date("switched_at", rotation.switched_at);
    fields.date("used_at", rotation.used_at);
    fields.date("deadline", rotation.deadline);
    fields.flag("compromised", rotation.compromised);
    fields.flag("kill_now", rotation.kill_now);
    fields.texts("permissions", &rotation.permissions);
    fields.texts("held", &rotation.held);
    fields.flag("held_whole", rotation.held_whole);
    fields.text("canary", rotation.canary.map(|it| it.as_str()));
    fields.text("trouble", rotation.trouble.as_deref());
    fields.list("consumers", Layout::Lines, rotation.consumers.iter().map(delivery).collect());
    fields.list("evidence", Layout::Lines, rotation.evidence.iter().map(basis).collect());
    fields.table("old", side(&rotation.old));
    fields.table("new", side(&rotation.new));
    fields.0.extend(rotation.owner.as_ref().map(|it| ("owner", Node::Table(owner(it)))));
    fields
}

/// Returns the largest unit that says it exactly.
fn duration(seconds: i64) -> Node {
    let units = [(604_800, 'w'), (86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
    match units.into_iter().find(|(unit, _)| seconds > 0 && seconds % unit == 0) {
        Some((unit, letter)) => Node::Text(format!("{}{letter}", seconds / unit)),
        None => Node::Number(seconds),
    }
}

fn side(side: &Side) -> Fields {
    let mut fields = Fields::default();
    fields.text("fingerprint", side.fingerprint.as_ref().map(|it| it.as_str()));
    fields.text("last2", side.last2.as_deref());
    fields.text("remote_id", side.remote_id.as_deref());
    fields.text("login", side.login.as_deref());
    fields.text("state", side.state.map(|it| it.as_str()));
    fields.text("name", side.name.as_deref());
    fields.text("role", side.role.as_deref());
    fields.date("created", side.created);
    fields.expiry(side.expires);
    fields.texts("permissions", &side.permissions);
    fields.flag("foreign", side.foreign);
    fields
}

fn delivery(delivery: &Delivery) -> Fields {
    let mut fields = Fields::default();
    fields.text("key", Some(delivery.key.as_str()));
    fields.text("name", Some(&delivery.name));
    fields.text("kind", Some(delivery.kind.as_str()));
    fields.text("state", Some(delivery.state.as_str()));
    fields.text("by", delivery.by.as_deref());
    fields.date("at", delivery.at);
    fields
}

fn basis(basis: &Basis) -> Fields {
    let mut fields = Fields::default();
    fields.text("of", Some(&basis.of));
    fields.text("source", Some(basis.source.as_str()));
    fields.text("by", Some(basis.by.as_str()).filter(|it| !it.is_empty()));
    fields.date("at", Some(basis.at));
    fields.text("detail", Some(basis.detail.as_str()).filter(|it| !it.is_empty()));
    fields
}

fn owner(owner: &Owner) -> Fields {
    let mut fields = Fields::default();
    fields.text("user", Some(&owner.user));
    fields.text("host", Some(&owner.host));
    fields.number("pid", Some(owner.pid));
    fields.text("token", Some(owner.token.as_str()).filter(|it| !it.is_empty()));
    fields.text("space", owner.space.as_deref());
    fields.date("at", Some(owner.at));
    fields
}

fn waiver(waiver: &Waiver) -> Fields {
    let mut fields = Fields::default();
    fields.text("finding", Some(&waiver.finding));
    fields.text("key", waiver.key.as_ref().map(|it| it.as_str()));
    fields.text("scope", waiver.scope.as_ref().map(ToString::to_string).as_deref());
    fields.text("about", waiver.about.as_deref());
    fields.text("reason", Some(&waiver.reason));
    fields.date("until", waiver.until);
    fields
}
