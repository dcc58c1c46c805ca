//! How `consumer` shows places.

use serde::Serialize;
use serde_json::Value;

use crate::commands::CommandContext;
use crate::inventory::Inventory;
use crate::key::{Consumer, ConsumerKind, KeyRef, Scope};
use crate::output::{Cell, Page, Report, Table, Tone};
use crate::workflow::consumers::{Proof, paste_page};
use crate::workflow::{checklist, consumers};

/// One place, its fields in the order of JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub key: KeyRef,
    pub name: String,
    pub kind: ConsumerKind,
    pub location: Option<Scope>,
    pub url: Option<String>,
    pub command: Vec<String>,
    /// Whether this machine may run the command; null without one.
    pub approved: Option<bool>,
}

impl Line {
    pub fn new(context: &CommandContext, inventory: &Inventory, key: &KeyRef, consumer: &Consumer) -> Self {
        let runs = consumer.kind == ConsumerKind::Command;
        Self {
            key: key.clone(),
            name: consumer.name.clone(),
            kind: consumer.kind,
            location: consumer.location.clone(),
            url: paste_page::url(inventory, key, consumer),
            command: consumer.command.clone(),
            approved: runs.then(|| consumers::is_approved(context, &consumer.command)),
        }
    }
}

/// The result of `list`, `add` and `remove`.
pub struct Lines {
    pub consumers: Vec<Line>,
}

impl Report for Lines {
    fn command(&self) -> &'static str {
        "consumer"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "consumers": self.consumers })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("consumers")
    }

    fn human(&self, page: &mut Page) {
        let mut table = Table::new(&["key", "name", "kind", "location", "where", "approved"]);
        for line in &self.consumers {
            let place = match line.kind {
                ConsumerKind::Command => consumers::spelt(&line.command),
                ConsumerKind::Manual | ConsumerKind::Highlevel => line.url.clone().unwrap_or_default(),
            };
            let approved = match line.approved {
                Some(true) => Cell::toned("yes", Tone::Good),
                Some(false) => Cell::toned("no", Tone::Warn),
                None => Cell::default(),
            };
            table.row([
                line.key.as_str().into(),
                line.name.clone().into(),
                line.kind.as_str().into(),
                line.location.as_ref().map(ToString::to_string).unwrap_or_default().into(),
                place.into(),
                approved,
            ]);
        }
        page.table(&table);
    }
}

/// What became of a push.
#[derive(Debug, Clone, Serialize)]
pub struct Pushed {
    pub key: KeyRef,
    pub name: String,
    pub kind: ConsumerKind,
    pub state: &'static str,
    pub detail: String,
    /// Of a HighLevel location, which never tells the key back.
    pub proof: Option<Proof>,
}

/// The result of `push`.
pub struct PushReport {
    pub consumers: Vec<Pushed>,
}

impl Report for PushReport {
    fn command(&self) -> &'static str {
        "consumer"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "consumers": self.consumers })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("consumers")
    }

    fn human(&self, page: &mut Page) {
        let mut table = Table::new(&["name", "kind", "state", "detail"]);
        for line in &self.consumers {
            let tone = if line.state == "pushed" { Tone::Good } else { Tone::Bad };
            table.row([
                line.name.clone().into(),
                line.kind.as_str().into(),
                Cell::toned(line.state, tone),
                line.detail.clone().into(),
            ]);
        }
        page.table(&table);
        for proof in self.consumers.iter().filter_map(|it| it.proof.as_ref()).filter(|it| it.fresh) {
            page.blank();
            page.line(Tone::Strong, proof.domain.as_str());
            page.sheet(&checklist::sheet(&proof.checks));
        }
    }
}
