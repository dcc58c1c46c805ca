//! `keyctl show`: everything recorded of one key, without opening a store.

use serde::Serialize;
use serde_json::Value;

use crate::cli::shared::key_row::{Line, Lines, verdict_cell};
use crate::commands::CommandContext;
use crate::exit::Exit;
use crate::key::KeyRefArg;
use crate::output::{Cell, Page, Report, Tone};
use crate::provider::{ConsoleAsk, ConsoleTask};
use crate::state::ALLOWLISTS;
use crate::{provider, store};

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The key to show
    #[arg(value_name = "KEYREF", add = crate::cli::completions::keys())]
    key: KeyRefArg,
}

/// Shows one record.
///
/// # Errors
/// Exit 8 when there is no such key.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let key = context.complete(&args.key)?;
    let record = inventory.record(&key)?;
    let ask = ConsoleAsk {
        kind: Some(record.kind),
        domain: record.domain.as_ref(),
        account_id: record.account_id.as_deref(),
        remote_name: record.remote_name.as_deref(),
        ..ConsoleAsk::default()
    };
    let guide = provider::provider(key.provider).console(ConsoleTask::Delete, &ask);
    let saved: std::collections::BTreeMap<String, Value> = context.state.read(ALLOWLISTS);
    let shown = Shown {
        line: Lines::new(context, inventory).line(&key, record),
        identity: record.identity.clone(),
        role: record.role.clone(),
        remote_id: record.remote_id.clone(),
        remote_name: record.remote_name.clone(),
        permissions: record.permissions.clone(),
        note: record.note.clone(),
        allowlist: saved.contains_key(record.id.as_str()).then_some("relaxed"),
        env: store::env::variable(&key),
        console_url: guide.map(|it| it.url),
        item: record.current.map(|version| format!("{}#{version}", record.id)),
    };
    context.console.report(&ShowReport { shown })?;
    Ok(Exit::Done)
}

/// A record in full, its fields in the contract's order.
#[derive(Debug, Clone, Serialize)]
struct Shown {
    #[serde(flatten)]
    line: Line,
    identity: Option<String>,
    role: Option<String>,
    remote_id: Option<String>,
    remote_name: Option<String>,
    permissions: Vec<String>,
    note: Option<String>,
    /// `relaxed` while `allowlist --relax` waits for its `--restore`.
    allowlist: Option<&'static str>,
    env: String,
    console_url: Option<String>,
    item: Option<String>,
}

struct ShowReport {
    shown: Shown,
}

impl Report for ShowReport {
    fn command(&self) -> &'static str {
        "show"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "key": self.shown })
    }

    fn rows(&self) -> Option<&'static str> {
        None
    }

    fn human(&self, page: &mut Page) {
        let (it, line) = (&self.shown, &self.shown.line);
        let text = |value: &Option<String>| Cell::from(value.clone().unwrap_or_default());
        page.line(Tone::Strong, line.key.as_str());
        page.fields(&[
            ("kind", line.kind.as_str().into()),
            ("state", line.state.as_str().into()),
            ("identity", text(&it.identity)),
            ("role", text(&it.role)),
            ("region", line.region.map(|it| it.as_str()).unwrap_or_default().into()),
            ("domain", text(&line.domain)),
            ("login", text(&line.login)),
            ("last two", line.last2.as_ref().map(|it| format!("…{it}")).unwrap_or_default().into()),
            ("fingerprint", line.fingerprint.as_ref().map(ToString::to_string).unwrap_or_default().into()),
            ("remote id", text(&it.remote_id)),
            ("remote name", text(&it.remote_name)),
            ("created", text(&line.created)),
            ("age", line.age_days.map(|days| format!("{days} days")).unwrap_or_default().into()),
            ("expires", text(&line.expires)),
            ("permissions", it.permissions.join(", ").into()),
            ("last verdict", verdict_cell(line.last_verdict.as_deref())),
            ("last checked", text(&line.last_checked)),
            ("rotation", line.rotation.map(|it| it.as_str()).unwrap_or_default().into()),
            ("consumers", line.consumers.join(", ").into()),
            ("allowlist", it.allowlist.unwrap_or_default().into()),
            ("note", text(&it.note)),
            ("store", line.store.clone().into()),
            (
                "item",
                it.item
                    .as_ref()
                    .map(|it| format!("service keyctl, username {it}"))
                    .unwrap_or_default()
                    .into(),
            ),
            ("variable", it.env.clone().into()),
            ("console", text(&it.console_url)),
        ]);
    }
}
