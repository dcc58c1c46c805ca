//! `keyctl identify`: what a text is, offline, and which records hold it. The
//! text is looked at and forgotten.

use serde::Serialize;
use serde_json::Value;

use crate::cli::shared::secret_source::SourceArgs;
use crate::commands::CommandContext;
use crate::exit::Exit;
use crate::inventory::Mark;
use crate::key::{KeyRef, Kind, ProviderId};
use crate::output::{Cell, Page, Report, Table, Tone};
use crate::workflow::secret_input;
use crate::workflow::secret_input::Taken;

/// Arguments of `identify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  printf %s \"$FOUND\" | keyctl identify --stdin
  keyctl identify --from-env MAILGUN_API_KEY -f json | jq -r '.data.matches[]'

Nobody is asked: whether the key works is told by `keyctl validate --provider P --stdin`.")]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
}

/// Tells what a text may be and who holds it.
///
/// # Errors
/// Exit 2 for what is certainly no key to keep: what it is, and what is wanted.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let taken =
        secret_input::take(context, &args.source.source(context, "Paste the text (it is not shown)")?)?;
    let held = inventory.keys.marked(&Mark::Fingerprint(taken.secret.fingerprint()));
    let matches: Vec<KeyRef> = held.map(|(key, _)| key.clone()).collect();
    if matches.is_empty() {
        taken.is_key()?;
    }
    let report = IdentifyReport { candidates: candidates(&taken), matches };
    if report.candidates.is_empty() {
        context.console.hint("no provider makes such keys; a password that a person chose has no form");
    }
    context.console.report(&report)?;
    Ok(Exit::Done)
}

fn candidates(taken: &Taken) -> Vec<CandidateLine> {
    let line = |(provider, candidate): &(ProviderId, crate::provider::Candidate)| CandidateLine {
        provider: *provider,
        kind: candidate.kind,
        certain: candidate.certain,
        stripped: taken.stripped.clone(),
    };
    taken.candidates.iter().map(line).collect()
}

/// What the text may be, its fields in the contract's order.
#[derive(Debug, Clone, Serialize)]
struct CandidateLine {
    provider: ProviderId,
    kind: Kind,
    certain: bool,
    stripped: Vec<String>,
}

struct IdentifyReport {
    candidates: Vec<CandidateLine>,
    matches: Vec<KeyRef>,
}

impl Report for IdentifyReport {
    fn command(&self) -> &'static str {
        "identify"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "candidates": self.candidates, "matches": self.matches })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("candidates")
    }

    fn human(&self, page: &mut Page) {
        let mut table = Table::new(&["provider", "kind", "certain"]);
        for line in &self.candidates {
            let certain = if line.certain { Cell::toned("yes", Tone::Good) } else { Cell::from("it may be") };
            table.row([line.provider.as_str().into(), line.kind.as_str().into(), certain]);
        }
        page.table(&table);
        for key in &self.matches {
            page.line(Tone::Strong, format!("recorded as {key}"));
        }
        if self.matches.is_empty() {
            page.line(Tone::Dim, "in no record");
        }
    }
}
