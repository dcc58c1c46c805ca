//! `keyctl audit`: keys that need attention, found offline; `--online` asks
//! the providers as well. Changes nothing anywhere.
//!
//! `keys` looks at single records, `together` at several, `online` at the
//! providers; `waivers` marks what somebody decided to live with.

mod finding;
mod keys;
mod online;
mod report;
mod secrets;
mod together;
mod waivers;

use std::collections::{BTreeMap, BTreeSet};

use super::interruption::Interruption;
use super::reporting::Reports;
use crate::clock::Span;
use crate::context::Context;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{KeyRef, KeyState, Record, Scope};
use crate::state::{VERDICTS, Verdicts};

use finding::{Finding, Severity};

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl audit                        every key, offline
  keyctl audit acme --max-age 24h     what was not checked within a day is a finding, too
  keyctl audit --online               also keys that only the provider knows
  keyctl audit --report sarif=audit.sarif

A finding that is to be lived with is waived in the inventory:
  [[waiver]]
  finding = \"older-than-policy\"
  key = \"klaviyo@bakery\"
  reason = \"the shop moves in spring\"
  until = 2027-04-01")]
pub struct Args {
    /// Only keys effective at this scope; for an agency also all below it
    #[arg(add = super::completions::scopes())]
    scope: Option<Scope>,
    /// Ask the providers for their lists of keys and their logs
    #[arg(long)]
    online: bool,
    /// A last check older than this is a finding
    #[arg(long, value_name = "DURATION")]
    max_age: Option<Span>,
    /// Notes count as findings, too (exit 3)
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    reports: Reports,
}

/// Looks for findings.
///
/// # Errors
/// Exit 8 when nothing is recorded there.
pub fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    args.reports.check()?;
    let inventory = context.inventory()?;
    let keys = selected(inventory, args.scope.as_ref())?;
    let scopes: BTreeSet<Scope> = inventory
        .scopes()
        .map(|(scope, _)| scope)
        .filter(|scope| args.scope.as_ref().is_none_or(|it| it.covers(scope)))
        .collect();
    let verdicts: Verdicts = context.state.read(VERDICTS);
    let now = context.now();
    let look = keys::Look { inventory, verdicts: &verdicts, now, max_age: args.max_age };
    let mut findings: Vec<Finding> = keys.iter().flat_map(|(key, record)| look.at(key, record)).collect();
    let active: BTreeMap<&KeyRef, &Record> =
        keys.iter().filter(|(_, it)| it.state == KeyState::Active).map(|(key, it)| (*key, *it)).collect();
    findings.extend(together::same_secrets(&active));
    findings.extend(together::domains(inventory, &verdicts, &active, &scopes));
    findings.extend(together::missing(inventory, &scopes));
    findings.extend(together::rotations(inventory, &keys, now));
    findings.extend(together::machine(context, &keys));
    let mut online = online::Found::default();
    if args.online {
        online = online::look(context, inventory, &keys, &Interruption::watch())?;
        findings.append(&mut online.findings);
    }
    waivers::apply(&mut findings, &inventory.waivers, now, args.scope.is_none());
    sort(&mut findings);
    let exit = exit(&findings, args.strict, &online);
    let complete = !online.interrupted;
    let audit = report::Audit { keys: keys.keys().copied().cloned().collect(), findings, complete };
    Ok(Exit::merge([exit, audit.publish(context, &args.reports, args.strict)?]))
}

/// Returns the records that are looked at, whatever their state.
fn selected<'a>(
    inventory: &'a Inventory,
    scope: Option<&Scope>,
) -> Result<BTreeMap<&'a KeyRef, &'a Record>, Situation> {
    let mut keys: BTreeMap<&KeyRef, &Record> = BTreeMap::new();
    match scope {
        None => keys.extend(inventory.keys.iter()),
        Some(scope) => {
            inventory.need_scope(scope)?;
            keys.extend(inventory.effective(scope).into_iter().map(|it| (it.key, it.record)));
            keys.extend(inventory.keys_of_agency(&scope.agency).filter(|(key, _)| scope.covers(&key.scope)));
        }
    }
    if keys.is_empty() {
        return Err(Situation::missing("nothing-selected", "no key is recorded there")
            .hint("`keyctl list` shows what there is"));
    }
    Ok(keys)
}

/// By key ref, those without one last; then by scope and rule.
fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let order = |it: &Finding| (it.key.is_none(), it.key.clone(), it.scope.clone(), it.id);
        order(a).cmp(&order(b)).then_with(|| a.detail.cmp(&b.detail))
    });
}

fn exit(findings: &[Finding], strict: bool, online: &online::Found) -> Exit {
    let counts = |it: &Finding| !it.waived && (strict || it.severity != Severity::Note);
    let undecided = |it: &Finding| !it.waived && it.undecided;
    let mut codes = vec![Exit::Done];
    codes.extend(online.interrupted.then_some(Exit::Interrupted));
    codes.extend(online.locked.then_some(Exit::Store));
    codes.extend(findings.iter().any(counts).then_some(Exit::Rejected));
    codes.extend(findings.iter().any(undecided).then_some(Exit::Unknown));
    Exit::merge(codes)
}
