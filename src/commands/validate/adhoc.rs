//! One key that is in no inventory: validated and forgotten. Needs no store
//! and writes nothing.

use std::collections::BTreeSet;

use crate::commands::CommandContext;
use crate::commands::validate::Args;
use crate::commands::validate::report::Results;
use crate::exit::{Exit, Situation};
use crate::key::{Judgement, Kind, ProviderId, Record, RecordId, Secret};
use crate::provider;
use crate::provider::{Credential, Detection, Net, Provider, Unsorted};
use crate::workflow::validation::answers;
use crate::workflow::validation::judged::Judged;
use crate::workflow::{key_permissions, secret_input};

/// Refuses the options that describe a key which is in no inventory.
///
/// # Errors
/// Exit 2, naming what is missing.
pub fn refuse_its_options(args: &Args) -> Result<(), Situation> {
    let used = [
        ("--kind", args.kind.is_some()),
        ("--region", args.region.is_some()),
        ("--domain", args.domain.is_some()),
        ("--login", args.login.is_some()),
    ];
    match used.iter().find(|(_, used)| *used) {
        None => Ok(()),
        Some((name, _)) => Err(Situation::usage(format!("`{name}` describes a key that is in no inventory"))
            .hint("give that key with `--stdin` or `--from-env VAR`")),
    }
}

/// Validates the key that was given.
///
/// # Errors
/// Exit 2 when the text is no key of the provider, or its kind is not clear.
pub fn run(args: &Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let source = match &args.from_env {
        Some(name) => secret_input::Source::Variable(name.clone()),
        None => secret_input::Source::Stdin,
    };
    if let Some(provider) = args.provider {
        has_kind(provider, args.kind)?;
    }
    let taken = secret_input::take(context, &source)?;
    let (provider, kind) = recognise(args, &taken)?;
    crate::commands::validate::check_permissions(std::iter::once(provider.id()), &args.require)?;
    let net = context.net()?;
    let start = std::time::Instant::now();
    let (kind, mut judgement) = ask(args, &net, provider, kind, &taken.secret);
    let credential = credential(args, kind, &taken.secret);
    let spelt: Vec<String> =
        args.require.iter().map(|it| key_permissions::spelling(provider.id(), it)).collect();
    let states = match judgement.accepted() {
        true => key_permissions::prove(&net, provider.id(), &credential, &judgement.facts, &spelt),
        false => Vec::new(),
    };
    let domains = crate::workflow::validation::reduce::reduce(&mut judgement.facts, &BTreeSet::new());
    let mut record = Record::new(RecordId::from_random([0; 10]), kind);
    record.describe_secret(&taken.secret, provider.chosen_by_person(kind));
    if args.login.is_none() {
        ask_for_login(&mut judgement, provider.id(), kind);
    }
    let described = (provider.id(), &record);
    let lacks_required = crate::workflow::validation::judge::judge_alone(
        &mut judgement,
        described,
        &args.require,
        &states,
        context.now(),
    );
    let dead = crate::workflow::validation::judge::says_dead(&judgement);
    if args.expect.is_some() && !dead {
        crate::workflow::validation::witness::say_unproven(&mut judgement, None, None);
    }
    let judged = Judged {
        key: None,
        provider: provider.id(),
        kind,
        record: Some(&record),
        dead,
        judgement: Box::new(judgement),
        at: Vec::new(),
        latency_ms: Some(answers::millis(start.elapsed())),
        checked_at: Some(net.now),
        changed: None,
        lacks_required,
        last_success: None,
        domains,
        selectable: domains.elsewhere,
        slot: None,
    };
    let results = Results::new(vec![judged], 1, true, net.now);
    results.say_unexpected(context, args.expect);
    Ok(Exit::merge([results.exit(args), results.publish(context, args)?]))
}

fn credential<'a>(args: &'a Args, kind: Kind, secret: &'a Secret) -> Credential<'a> {
    let (region, domain, login) = (args.region, args.domain.as_ref(), args.login.as_deref());
    Credential { kind, secret, region, domain, login, remote_id: None, account_id: None }
}

/// Asks the provider what the key is worth, and which kind it is of where that
/// was not said and its form does not tell.
fn ask(
    args: &Args,
    net: &Net<'_>,
    provider: &dyn Provider,
    kind: Option<Kind>,
    secret: &Secret,
) -> (Kind, Judgement) {
    let check = |kind| (kind, provider.check(net, &credential(args, kind, secret)));
    if let Some(kind) = kind {
        return check(kind);
    }
    let likeliest = provider.id().kinds()[0];
    let (region, domain, login) = (args.region, args.domain.as_ref(), args.login.as_deref());
    match provider.detect(net, &Unsorted { secret, region, domain, login }) {
        Some(Detection::Is(kind, judgement)) => (kind, judgement),
        Some(Detection::Unclear(judgement)) => (likeliest, judgement),
        None => check(likeliest),
    }
}

/// A key that is recorded nowhere needs its login in this call.
fn ask_for_login(judgement: &mut Judgement, provider: ProviderId, kind: Kind) {
    let page = provider::provider(provider).terms().login_page;
    if let Some(page) = page.filter(|_| kind == Kind::Smtp) {
        judgement.detail = "an SMTP key can only be proven together with its login".to_owned();
        judgement.hint = Some(format!("give the login as well: `--login LOGIN`; {page}"));
    }
}

/// Checks that a provider has keys of the kind that was said.
fn has_kind(provider: ProviderId, kind: Option<Kind>) -> Result<(), Situation> {
    match kind.filter(|it| !provider.kinds().contains(it)) {
        None => Ok(()),
        Some(kind) => {
            let known = provider.kinds().iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
            Err(Situation::usage(format!("{provider} has no `{kind}` keys; it has: {known}")))
        }
    }
}

/// Returns the provider (said, or recognised) and the kind, as far as the text
/// tells it.
fn recognise(
    args: &Args,
    taken: &secret_input::Taken,
) -> anyhow::Result<(&'static dyn provider::Provider, Option<Kind>)> {
    let candidates: Vec<_> = taken
        .candidates
        .iter()
        .filter(|(provider, candidate)| {
            args.provider.is_none_or(|it| it == *provider) && args.kind.is_none_or(|it| it == candidate.kind)
        })
        .collect();
    let provider = match (args.provider, candidates.first()) {
        (Some(said), _) => said,
        (None, Some((first, _))) if candidates.iter().all(|(it, _)| it == first) => *first,
        (None, _) => {
            return Err(Situation::usage("whose key this is cannot be told")
                .hint("say it: `--provider`; `keyctl identify` tells what a text may be")
                .into());
        }
    };
    has_kind(provider, args.kind)?;
    let kind = args.kind.or(match candidates.as_slice() {
        [(_, only)] => Some(only.kind),
        _ => None,
    });
    taken.fits(provider, kind)?;
    Ok((provider::provider(provider), kind))
}
