//! `keyctl list`: what is recorded, without opening a store.

use std::io::{self, Write};

use serde_json::Value;

use crate::cli::shared::key_row::{Line, Lines, day, verdict_cell};
use crate::commands::CommandContext;
use crate::exit::{Exit, Situation};
use crate::key::{KeyState, ProviderId, Scope};
use crate::output::{Cell, Page, Pieces, Report, Table, Tone, json};

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only keys effective at this scope; for an agency also all below it
    #[arg(add = crate::cli::completions::scopes())]
    scope: Option<Scope>,
    /// Only keys of this provider
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<ProviderId>,
}

/// Lists records, whatever their state.
///
/// # Errors
/// Exit 8 when nothing is recorded there.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let lines = Lines::new(context, inventory);
    let mut keys = Vec::new();
    let effective = match &args.scope {
        Some(scope) => {
            inventory.need_scope(scope)?;
            inventory.effective(scope).iter().map(|it| it.key.clone()).collect()
        }
        None => std::collections::BTreeSet::new(),
    };
    for (key, record) in &inventory.keys {
        let here =
            args.scope.as_ref().is_none_or(|scope| scope.covers(&key.scope) || effective.contains(key));
        if here && args.provider.is_none_or(|it| it == key.provider) {
            keys.push(lines.line(key, record));
            lines.idle(key, record).iter().for_each(|it| context.console.warning(it));
        }
    }
    if keys.is_empty() && (args.scope.is_some() || args.provider.is_some()) {
        return Err(Situation::missing("nothing-selected", "no key matches")
            .hint("`keyctl list` shows what there is")
            .into());
    }
    if keys.is_empty() {
        let path = context.inventory_file.path();
        if context.options.inventory.is_some() && !path.exists() {
            context.console.hint(format!("there is no inventory `{}` yet", path.display()));
        }
        context.console.hint("nothing is recorded yet; add the first key: `keyctl add mailgun@AGENCY`");
    }
    context.console.report(&ListReport { keys })?;
    Ok(Exit::Done)
}

#[derive(serde::Serialize)]
struct ListReport {
    keys: Vec<Line>,
}

impl Report for ListReport {
    fn command(&self) -> &'static str {
        "list"
    }

    fn data(&self) -> Value {
        json::tree(self).unwrap_or_default()
    }

    fn rows(&self) -> Option<&'static str> {
        Some("keys")
    }

    fn pieces(&self) -> Option<&dyn Pieces> {
        Some(self)
    }

    fn human(&self, page: &mut Page) {
        let mut table = Table::new(&[
            "key", "kind", "domain", "last2", "state", "verdict", "checked", "expires", "rotation",
        ])
        .optional(&["checked", "last2", "domain", "kind"]);
        for line in &self.keys {
            let state = match line.state {
                KeyState::Active => Cell::default(),
                other => Cell::toned(other.as_str(), Tone::Warn),
            };
            table.row([
                line.key.as_str().into(),
                line.kind.as_str().into(),
                line.domain.clone().unwrap_or_default().into(),
                line.last2.as_ref().map(|it| format!("…{it}")).unwrap_or_default().into(),
                state,
                verdict_cell(line.last_verdict.as_deref()),
                day(line.last_checked.as_deref()).into(),
                day(line.expires.as_deref()).into(),
                line.rotation.map(|it| Cell::toned(it.as_str(), Tone::Warn)).unwrap_or_default(),
            ]);
        }
        page.table(&table);
    }
}

impl Pieces for ListReport {
    fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        Ok(serde_json::to_writer(out, self)?)
    }

    fn each_row(&self, line: &mut dyn FnMut(&Value) -> io::Result<()>) -> io::Result<()> {
        self.keys.iter().try_for_each(|key| line(&json::tree(key)?))
    }
}
