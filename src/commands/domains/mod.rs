//! `keyctl domains`: which sending domains can be chosen at a scope, why one
//! is missing, and the provider's check of its DNS. Sends GETs only, but for
//! `--verify`, which asks first.
//!
//! `pick` finds the keys to ask with; `list` tells what they see; `explain`
//! checks one domain from the account to the reply route; `verify` has its DNS
//! looked at again.

pub mod explain_report;
mod list;
mod verify;

use crate::commands::CommandContext;
use crate::exit::{Exit, Situation};
use crate::key::{Domain, Kind, ProviderId, Selector};
use crate::workflow::domains::{DomainQuestion, explain};

/// Arguments of `domains`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl domains acme/berlin                                what can be chosen there
  keyctl domains acme --all                                 the rest too, each with its reasons
  keyctl domains acme --explain mg.berlin.example --dns     why is it not in the drop-down?
  keyctl domains --provider mailgun --from-env MY_KEY       with a key that is in no inventory

Mailgun domains count when they are active, in the US region, not disabled and no sandbox: HighLevel
offers no others. Brevo domains count when authenticated, Klaviyo's when active or warming.")]
pub struct Args {
    /// Key or scope to ask at [default: every key that may list domains]
    #[arg(value_name = "KEYREF|SCOPE", add = crate::cli::completions::selectors())]
    selector: Option<Selector>,
    /// Show also the domains that cannot be chosen, with the reasons
    #[arg(long)]
    all: bool,
    /// Let domains of the EU region count, too
    #[arg(long)]
    any_region: bool,
    /// Tell why a domain can or cannot be chosen
    #[arg(long, value_name = "DOMAIN", conflicts_with = "verify")]
    explain: Option<Domain>,
    /// Ask the resolver, too, what is published (with --explain or --verify)
    #[arg(long)]
    dns: bool,
    /// Have the provider check the DNS of a domain again: a change there, so it asks first
    #[arg(long, value_name = "DOMAIN")]
    verify: Option<Domain>,
    /// Only keys of this provider; with --stdin or --from-env, the provider of that key
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<ProviderId>,
    /// Only keys of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Only the key with this label
    #[arg(long, value_name = "LABEL", conflicts_with_all = ["stdin", "from_env"])]
    label: Option<String>,
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
/// Exit 2 for a key that may not list domains, 7 when its secret cannot be
/// read, 8 when nothing is selected, 9 for `--verify` without a yes.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    if args.dns && args.explain.is_none() && args.verify.is_none() {
        return Err(Situation::usage("`--dns` asks for the records of one domain")
            .hint("name it: `--explain DOMAIN --dns`")
            .into());
    }
    let question = DomainQuestion {
        selector: args.selector.clone(),
        provider: args.provider,
        kind: args.kind,
        label: args.label.clone(),
        any_region: args.any_region,
        dns: args.dns,
        stdin: args.stdin,
        from_env: args.from_env.clone(),
    };
    if let Some(domain) = &args.explain {
        let explanation = explain::run(&question, context, domain)?;
        context.console.report(&explanation)?;
        return Ok(match explanation.selectable {
            Some(true) => Exit::Done,
            Some(false) => Exit::Rejected,
            None => Exit::Unknown,
        });
    }
    if let Some(domain) = &args.verify {
        return verify::run(&question, context, domain);
    }
    list::run(&question, args.all, context)
}
