//! `keyctl validate`: prove live what each key is worth. Sends only what the
//! providers' checks send; changes nothing but this machine's memory.
//!
//! `probes` asks the providers, one question per distinct secret, and `answers`
//! takes what they say; `judge` makes the verdict of each record and scope of
//! the answers; `report` tells; `health` makes the neutral shape of report
//! formats of it.

mod adhoc;
mod health;
mod report;

use std::borrow::Borrow;
use std::collections::BTreeSet;

use crate::cli::shared::report_option::Reports;
use crate::clock::Span;
use crate::commands::CommandContext;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::inventory::select::{Filter, Reach, Selection};
use crate::key::{Domain, Kind, ProviderId, Region, Selector, Verdict};
use crate::state::{EVIDENCE, VERDICTS};
use crate::workflow::interrupt::Interruption;
use crate::workflow::validation::at_scope::Places;
use crate::workflow::validation::expectation::{Expect, FailOn};
use crate::workflow::validation::probe::Batch;
use crate::workflow::verdict_memory;

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl validate                          every key
  keyctl validate acme/berlin              the keys effective there
  keyctl validate mailgun@acme --strict    limited counts as failure (exit 5)
  keyctl validate --provider mailgun --from-env MAILGUN_API_KEY   a key that is in no inventory

A call to Brevo from a new address may authorise that network or alert the account's owner.")]
pub struct Args {
    /// Keys or scopes; an agency means also all below it [default: every key]
    #[arg(value_name = "KEYREF|SCOPE", add = crate::cli::completions::selectors())]
    selectors: Vec<Selector>,
    /// Only keys of this provider; with --stdin or --from-env, the provider of that key
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<ProviderId>,
    /// Permissions each key must be proven to have
    #[arg(long, value_name = "PERMISSION,…", value_delimiter = ',')]
    require: Vec<String>,
    /// Succeed only if each key is proven dead
    #[arg(long, value_name = "VERDICT")]
    expect: Option<Expect>,
    /// Exit 5 when keys are only limited
    #[arg(long)]
    strict: bool,
    /// Verdicts that count as failure; others exit 0 (can be repeated)
    #[arg(long, value_name = "VERDICT", value_delimiter = ',')]
    fail_on: Vec<FailOn>,
    /// Probes at the same time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Reuse a verdict younger than this
    #[arg(long, value_name = "DURATION")]
    max_age: Option<Span>,
    #[command(flatten)]
    reports: Reports,
    /// Kind of the key that is in no inventory
    #[arg(long, value_name = "KIND", help_heading = "One key that is in no inventory")]
    kind: Option<Kind>,
    /// Its region
    #[arg(long, value_name = "REGION", help_heading = "One key that is in no inventory")]
    region: Option<Region>,
    /// The domain of a sending key
    #[arg(long, value_name = "DOMAIN", help_heading = "One key that is in no inventory")]
    domain: Option<Domain>,
    /// The login of an SMTP key
    #[arg(long, value_name = "LOGIN", help_heading = "One key that is in no inventory")]
    login: Option<String>,
    /// Read it from stdin
    #[arg(long, conflicts_with_all = ["from_env", "selectors"], help_heading = "One key that is in no inventory")]
    stdin: bool,
    /// Read it from an environment variable
    #[arg(
        long,
        value_name = "VAR",
        conflicts_with = "selectors",
        help_heading = "One key that is in no inventory"
    )]
    from_env: Option<String>,
}

/// Validates the selected keys.
///
/// # Errors
/// Exit 7 when no key could be read, exit 8 when nothing is selected.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    args.reports.check()?;
    if args.stdin || args.from_env.is_some() {
        return adhoc::run(&args, context);
    }
    adhoc::refuse_its_options(&args)?;
    let inventory = context.inventory()?;
    let selection = select(&args, context, inventory)?;
    check_permissions(selection.keys.iter().map(|it| it.provider), &args.require)?;
    let interrupted = Interruption::watch();
    let places = crate::workflow::validation::at_scope::all(inventory, &selection.keys);
    let versions = crate::workflow::validation::other_versions::Versions::of(inventory);
    // What was not looked at then cannot be told from a verdict.
    let looks_closer = !args.require.is_empty() || args.expect.is_some();
    if looks_closer && args.max_age.is_some() {
        let why = "every key is asked, since `--require` and `--expect` need more than a verdict";
        context.console.note(format!("note: `--max-age` is not used: {why}"));
    }
    let max_age = args.max_age.filter(|_| !looks_closer);
    let wish = crate::workflow::validation::requirements::Wish {
        require: &args.require,
        max_age,
        places: &places,
        versions: &versions,
    };
    let mut batch =
        crate::workflow::validation::probe::Batch::read(context, inventory, &selection.keys, wish)?;
    let mut answers = crate::workflow::validation::answers::Answers::none();
    let course = Course { args: &args, context, inventory, interrupted: &interrupted };
    // A probe that hangs cannot be stopped: the report is given beside it.
    let abandon = |batch: &Batch<'_>, answers| conclude(course, batch, &places, answers);
    let asking = crate::workflow::validation::probe::Asking {
        context,
        jobs: usize::from(args.jobs),
        interrupted: &interrupted,
        abandon: &abandon,
    };
    batch.ask(asking, &mut answers)?;
    let tellers = batch.tellers(inventory, &answers);
    if !tellers.is_empty() {
        batch.add_witnesses(context, inventory, tellers);
        batch.ask(asking, &mut answers)?;
    }
    if args.expect.is_some() {
        let evidence = context.state.entries(EVIDENCE);
        let in_doubt = batch.in_doubt(&answers);
        let witnesses = crate::workflow::validation::witness::candidates(
            inventory,
            &selection.keys,
            &in_doubt,
            &evidence,
        );
        batch.add_witnesses(context, inventory, witnesses);
        batch.ask(asking, &mut answers)?;
    }
    conclude(course, batch, places, answers)
}

fn select<'i>(
    args: &Args,
    context: &CommandContext,
    inventory: &'i Inventory,
) -> anyhow::Result<Selection<'i>> {
    let selected = context.all_selected(&args.selectors)?;
    // A key that was switched off is one that should be dead.
    let disabled = args.expect.is_some();
    let filter = Filter { provider: args.provider, disabled, ..Filter::default() };
    let selection = inventory.select(&selected, Reach::Below, filter)?;
    for skipped in &selection.skipped {
        context.console.note(format!("note: {skipped}"));
    }
    Ok(selection)
}

/// What the end of a run needs besides its answers.
#[derive(Clone, Copy)]
struct Course<'r> {
    args: &'r Args,
    context: &'r CommandContext,
    inventory: &'r Inventory,
    interrupted: &'r Interruption,
}

/// Judges what was answered, remembers it and tells it.
fn conclude<'r>(
    course: Course<'r>,
    batch: impl Borrow<Batch<'r>>,
    places: impl Borrow<Places<'r>>,
    answers: crate::workflow::validation::answers::Answers,
) -> anyhow::Result<Exit> {
    let Course { args, context, inventory, interrupted } = course;
    let (probes, complete, now) = (answers.count(), answers.complete, context.now());
    let before = context.state.entries(VERDICTS);
    let evidence = context.state.entries(EVIDENCE);
    let run = crate::workflow::validation::judge::Run {
        context,
        inventory,
        require: &args.require,
        expect: args.expect,
        batch: batch.borrow(),
        places: places.borrow(),
        before: &before,
        evidence: &evidence,
        now,
    };
    let judged = run.judge(answers)?;
    let proven = run.proven(&judged);
    // What is made of ten thousand results can have their memory.
    drop((batch, places, before, evidence));
    verdict_memory::remember_more(context, proven);
    let results = report::Results::new(judged, probes, complete, now);
    results.say_unexpected(context, args.expect);
    let exit = Exit::merge([results.exit(args), results.publish(context, args)?]);
    Ok(if complete && !interrupted.is_raised() { exit } else { Exit::Interrupted })
}

/// Refuses a permission that none of the providers knows.
fn check_permissions(providers: impl Iterator<Item = ProviderId>, names: &[String]) -> Result<(), Situation> {
    let providers: BTreeSet<ProviderId> = providers.collect();
    crate::workflow::key_permissions::known(providers, names)
        .map_err(|why| Situation::usage(why).hint("`keyctl permissions KEYREF` lists what there is"))
}

/// Returns the exit code of one verdict.
fn verdict_exit(verdict: Verdict, args: &Args) -> Exit {
    let exit = match verdict {
        Verdict::Valid => return Exit::Done,
        Verdict::Rejected => Exit::Rejected,
        Verdict::Unknown => Exit::Unknown,
        Verdict::Limited if args.strict || args.fail_on.contains(&FailOn::Limited) => Exit::Limited,
        Verdict::Limited => return Exit::Done,
    };
    let named = match verdict {
        Verdict::Rejected => FailOn::Rejected,
        Verdict::Unknown => FailOn::Unknown,
        Verdict::Limited | Verdict::Valid => FailOn::Limited,
    };
    if args.fail_on.is_empty() || args.fail_on.contains(&named) { exit } else { Exit::Done }
}
