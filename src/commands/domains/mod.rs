//! `keyctl domains`: which sending domains can be chosen at a scope, and why
//! one cannot. `readers` finds the keys that can tell and asks them, `explain`
//! checks one domain from every side, `verify` asks the provider to look again.

mod explain;
mod readers;
mod records;
mod report;
mod verify;

use crate::context::Context;
use crate::domain::UsRule;
use crate::exit::{Exit, Situation};
use crate::key::{Domain, ProviderId, Selector, Verdict};

/// Arguments of `domains`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl domains acme/berlin                            what can be chosen there
  keyctl domains acme --all                             the others too, with reasons
  keyctl domains acme/berlin --explain mg.acme.example  why is it not in the drop-down list?")]
pub struct Args {
    /// Key that lists the domains, or the scope to choose for [default: the default scope, else every key]
    #[arg(value_name = "KEYREF|SCOPE", add = super::completions::selectors())]
    selector: Option<Selector>,
    /// Also list domains that cannot be chosen, with the reasons
    #[arg(long)]
    all: bool,
    /// Let domains of every region be chosen
    #[arg(long)]
    any_region: bool,
    /// Check one domain from every side and say what to mend
    #[arg(long, value_name = "DOMAIN", conflicts_with = "verify")]
    explain: Option<Domain>,
    /// Ask the resolver, too
    #[arg(long)]
    dns: bool,
    /// Ask the provider to check the DNS of a domain again: a change there
    #[arg(long, value_name = "DOMAIN")]
    verify: Option<Domain>,
    /// Only this provider; with --stdin or --from-env, the provider of that key
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<ProviderId>,
    /// Read a key that is in no inventory from stdin
    #[arg(long, conflicts_with_all = ["from_env", "selector"])]
    stdin: bool,
    /// Read a key that is in no inventory from an environment variable
    #[arg(long, value_name = "VAR", conflicts_with = "selector")]
    from_env: Option<String>,
}

/// Lists, explains or verifies.
///
/// # Errors
/// Exit 2 for a key that cannot list domains, exit 8 when there is none.
pub fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let readers = if args.stdin || args.from_env.is_some() {
        readers::ad_hoc(&args, context)?
    } else {
        readers::recorded(&args, context)?
    };
    if let Some(domain) = &args.explain {
        return explain::run(domain, &args, &readers, context);
    }
    readers.refuse_unable()?;
    if let Some(domain) = &args.verify {
        return verify::run(domain, &args, &readers, context);
    }
    let found = readers.list(context)?;
    let report = report::Listing::new(&found, &args, context)?;
    let exit = exit(report.selectable, &found, context);
    context.console.report(&report)?;
    Ok(exit)
}

fn exit(selectable: usize, found: &[readers::Found<'_>], context: &Context) -> Exit {
    let troubles =
        || found.iter().flat_map(|it| it.listing.troubles.iter().map(move |trouble| (it, trouble)));
    for (one, (region, trouble)) in troubles() {
        let part =
            region.map_or_else(String::new, |it| format!(" of the {} region", it.as_str().to_uppercase()));
        context.console.warning(format!(
            "{}: the list{part} could not be read: {}",
            one.name(),
            trouble.detail
        ));
        if let Some(hint) = &trouble.hint {
            context.console.hint(hint);
        }
    }
    let refused = |trouble: &crate::provider::Trouble| trouble.reason.verdict() == Verdict::Rejected;
    match (selectable, troubles().next().is_some()) {
        (1.., _) => Exit::Done,
        (0, true) if !troubles().all(|(_, (_, trouble))| refused(trouble)) => Exit::Unknown,
        (0, _) => Exit::Rejected,
    }
}

impl Args {
    /// Returns whether only US domains count: as HighLevel has it, unless the
    /// agency's platform is another, or any region was asked for.
    fn rule(&self, context: &Context, scope: Option<&crate::key::Scope>) -> anyhow::Result<UsRule> {
        use crate::inventory::Platform;
        let inventory = context.inventory()?;
        let platform = scope.and_then(|it| inventory.agencies.get(&it.agency)?.place.platform);
        let waived = self.any_region || platform == Some(Platform::None);
        Ok(if waived { UsRule::Waived } else { UsRule::Counts })
    }
}

/// Returns the situation that a trouble is.
fn situation(what: &str, trouble: &crate::provider::Trouble) -> Situation {
    let exit = match trouble.reason.verdict() {
        Verdict::Rejected => Exit::Rejected,
        Verdict::Valid | Verdict::Limited | Verdict::Unknown => Exit::Unknown,
    };
    let situation = Situation::new(exit, "domains-unreadable", format!("{what}: {}", trouble.detail));
    match &trouble.hint {
        Some(hint) => situation.hint(hint.clone()),
        None => situation.hint("`keyctl validate` tells what the key is worth"),
    }
}
