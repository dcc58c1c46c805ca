//! `scope list`, `scope show`, and what the changing verbs report.

use serde::Serialize;
use serde_json::Value;

use crate::clock::rfc3339;
use crate::context::Context;
use crate::exit::Exit;
use crate::inventory::{EmailProvider, Inventory, Place, Platform};
use crate::key::{Domain, KeyRef, Scope};
use crate::output::{Cell, Page, Report, Table, Tone};

/// One scope as JSON tells it.
#[derive(Debug, Clone, Serialize)]
struct Line {
    scope: Scope,
    name: Option<String>,
    highlevel_id: Option<String>,
    domain: Option<Domain>,
    platform: Option<Platform>,
    email_provider: Option<EmailProvider>,
    rotate_every: Option<String>,
    default: bool,
    gone: bool,
    imported: Option<String>,
    /// Keys recorded at exactly this scope.
    keys: Vec<KeyRef>,
    /// Locations of an agency.
    locations: usize,
    /// Since when no import's source lists it.
    missing: Option<String>,
}

impl Line {
    fn new(inventory: &Inventory, scope: Scope, place: &Place) -> Self {
        let keys = inventory.keys.at(&scope).map(|(key, _)| key.clone()).collect();
        let locations = match &scope.location {
            None => inventory.agencies.get(&scope.agency).map_or(0, |it| it.locations.len()),
            Some(_) => 0,
        };
        Self {
            name: place.name.clone(),
            highlevel_id: place.highlevel_id.clone(),
            domain: place.domain.clone(),
            platform: place.platform,
            email_provider: place.email_provider,
            rotate_every: place.rotate_every.clone(),
            default: inventory.default_scope.as_ref() == Some(&scope),
            gone: place.gone,
            missing: place.missing.map(rfc3339),
            imported: place.imported.map(rfc3339),
            keys,
            locations,
            scope,
        }
    }
}

/// Lists all scopes.
///
/// # Errors
/// When the inventory cannot be read.
pub fn list(context: &Context) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let scopes: Vec<Line> =
        inventory.scopes().map(|(scope, place)| Line::new(inventory, scope, place)).collect();
    if scopes.is_empty() {
        context.console.hint(
            "nothing is recorded yet; `keyctl scope add AGENCY`, or add a key: `keyctl add mailgun@AGENCY`",
        );
    }
    context.console.report(&ListReport { scopes })?;
    Ok(Exit::Done)
}

/// Shows one scope.
///
/// # Errors
/// Exit 8 when it is not known.
pub fn show(scope: &Scope, context: &Context) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    inventory.need_scope(scope)?;
    report_one(inventory, scope, context)
}

/// Reports a scope after a change.
///
/// # Errors
/// When the inventory cannot be read.
pub fn changed(scope: &Scope, context: &Context) -> anyhow::Result<Exit> {
    let inventory = context.inventory_file.load()?;
    report_one(&inventory, scope, context)
}

/// Reports that a scope is gone.
///
/// # Errors
/// When stdout cannot be written.
pub fn removed(scope: &Scope, context: &Context) -> anyhow::Result<Exit> {
    context.console.report(&RemovedReport { scope: scope.clone() })?;
    Ok(Exit::Done)
}

fn report_one(inventory: &Inventory, scope: &Scope, context: &Context) -> anyhow::Result<Exit> {
    let implicit = Place::default();
    let place = inventory.place(scope).unwrap_or(&implicit);
    context.console.report(&ShowReport { scope: Line::new(inventory, scope.clone(), place) })?;
    Ok(Exit::Done)
}

struct ListReport {
    scopes: Vec<Line>,
}

impl Report for ListReport {
    fn command(&self) -> &'static str {
        "scope"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "scopes": self.scopes })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("scopes")
    }

    fn human(&self, page: &mut Page) {
        let mut table = Table::new(&["scope", "name", "domain", "keys", "rotate every", ""]);
        for line in &self.scopes {
            let mut marks = Vec::new();
            if line.default {
                marks.push("default");
            }
            if line.gone {
                marks.push("gone");
            } else if line.missing.is_some() {
                marks.push("missing");
            }
            if line.email_provider == Some(EmailProvider::Other) {
                marks.push("other e-mail provider");
            }
            table.row([
                line.scope.to_string().into(),
                line.name.clone().unwrap_or_default().into(),
                line.domain.as_ref().map(ToString::to_string).unwrap_or_default().into(),
                if line.keys.is_empty() { Cell::default() } else { line.keys.len().to_string().into() },
                line.rotate_every.clone().unwrap_or_default().into(),
                Cell::toned(marks.join(", "), Tone::Dim),
            ]);
        }
        page.table(&table);
    }
}

struct ShowReport {
    scope: Line,
}

impl Report for ShowReport {
    fn command(&self) -> &'static str {
        "scope"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "scope": self.scope })
    }

    fn human(&self, page: &mut Page) {
        let it = &self.scope;
        let text = |value: &Option<String>| Cell::from(value.clone().unwrap_or_default());
        page.line(Tone::Strong, it.scope.to_string());
        page.fields(&[
            ("name", text(&it.name)),
            ("HighLevel id", text(&it.highlevel_id)),
            ("domain", it.domain.as_ref().map(ToString::to_string).unwrap_or_default().into()),
            ("platform", it.platform.map(|it| it.as_str()).unwrap_or_default().into()),
            ("sends with", it.email_provider.map(|it| it.as_str()).unwrap_or_default().into()),
            ("rotate every", text(&it.rotate_every)),
            ("default", if it.default { "yes" } else { "" }.into()),
            ("imported", text(&it.imported)),
            ("missing", missing(it)),
            ("locations", if it.locations > 0 { it.locations.to_string() } else { String::new() }.into()),
            ("keys", it.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ").into()),
        ]);
    }
}

/// Returns what is known of a location that an import did not find.
fn missing(line: &Line) -> Cell {
    match (&line.missing, line.gone) {
        (Some(since), true) => Cell::toned(
            format!("HighLevel says that it does not exist any more (missing since {since})"),
            Tone::Warn,
        ),
        (None, true) => Cell::toned("an earlier import did not find it", Tone::Warn),
        (Some(since), false) => {
            Cell::toned(format!("no import lists it since {since}; it stays in use"), Tone::Warn)
        }
        (None, false) => Cell::default(),
    }
}

struct RemovedReport {
    scope: Scope,
}

impl Report for RemovedReport {
    fn command(&self) -> &'static str {
        "scope"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "removed": self.scope })
    }

    fn human(&self, _: &mut Page) {}
}
