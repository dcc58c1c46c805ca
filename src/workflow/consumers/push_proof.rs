//! Proves, from Mailgun's side, what HighLevel never tells of a key that was
//! written to a location: that replies find their way from the domain into
//! HighLevel, and that mail leaves from the domain with that key.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::key::{Domain, KeyRef, Kind, Region, Verdict};
use crate::operator::Presence;
use crate::provider;
use crate::provider::{Credential, Delivery, Trouble};
use crate::workflow::checklist::{Check, Outcome};
use crate::workflow::consumers::handover::Proof;
use crate::workflow::consumers::handover::{Failed, Handover};
use crate::workflow::consumers::target::Target;
use crate::workflow::domains::inbound_route;
use crate::workflow::domains::inbound_route::Routes;
use crate::workflow::provider_failure;
use crate::workflow::test_mail::address::Address;
use crate::workflow::test_mail::message::message;

/// The id of the check of the mail.
const TEST_MAIL: &str = "test-mail";

/// Proves the pushes of one run. What holds for a key and a domain is asked
/// once, for however many locations.
pub struct Prover<'a> {
    context: &'a Context,
    /// Who gets the test mails; without one, none is sent.
    to: Option<Address>,
    proven: BTreeMap<(KeyRef, Domain), Vec<Check>>,
}

impl<'a> Prover<'a> {
    /// Returns one that sends its mails to `to`; asks whoever sits there for an
    /// address when none is given and a location `will_be_written`.
    pub fn new(context: &'a Context, to: Option<&Address>, will_be_written: bool) -> Self {
        let ask = to.is_none() && will_be_written && !context.operator.agreed_beforehand();
        let to = to.cloned().or_else(|| if ask { asked(context) } else { None });
        Self { context, to, proven: BTreeMap::new() }
    }

    /// Proves one push.
    ///
    /// # Errors
    /// When Mailgun refuses the test mail: HighLevel could not send either.
    pub fn prove(&mut self, handover: &Handover<'_>, target: &Target) -> Result<Proof, Failed> {
        let domain = target.domain.clone();
        let about = (handover.key.clone(), domain.clone());
        if let Some(checks) = self.proven.get(&about) {
            return Ok(Proof { domain, checks: checks.clone(), fresh: false });
        }
        let checks = self.checks(handover, target)?;
        self.proven.insert(about, checks.clone());
        Ok(Proof { domain, checks, fresh: true })
    }

    fn checks(&self, handover: &Handover<'_>, target: &Target) -> Result<Vec<Check>, Failed> {
        let mut checks = self.routes(handover, target);
        checks.push(self.mail(handover, target)?);
        for check in checks.iter().filter(|it| it.result == Outcome::Fail) {
            let found = check.found.as_deref().unwrap_or_default();
            self.context.operator.warning(format!("{}: {} failed: {found}", target.domain, check.id));
        }
        Ok(checks)
    }

    /// HighLevel makes the route by itself when it takes a key
    /// (help.gohighlevel.com, 48000987293).
    fn routes(&self, handover: &Handover<'_>, target: &Target) -> Vec<Check> {
        let look = format!("`keyctl domains {} --explain {}`", target.location, target.domain);
        if handover.record.kind != Kind::Account {
            let unclear = Check::unclear("inbound-route")
                .found(format!("a key of kind {} may not read routes", handover.record.kind))
                .fix(format!("{look} asks with one that may"));
            return vec![unclear];
        }
        let Some(inbound) = provider::provider(handover.key.provider).inbound() else { return Vec::new() };
        let credential = Credential::of(handover.record, handover.secret);
        let routes = match self.context.net() {
            Ok(net) => Routes::ask(inbound, &net, &credential, &target.domain, Region::Us)
                .map_err(|it| provider_failure::weighed(self.context, Some(handover.record), it)),
            Err(_) => return Vec::new(),
        };
        let mut route = inbound_route::inbound_route(&routes, &target.domain);
        if route.result == Outcome::Fail {
            let fix = route.fix.take().unwrap_or_default();
            route = route.fix(format!(
                "HighLevel makes it when it takes the key: look again in a minute with {look}; else {fix}"
            ));
        }
        vec![route, inbound_route::not_shadowed(&routes, &target.domain)]
    }

    fn mail(&self, handover: &Handover<'_>, target: &Target) -> Result<Check, Failed> {
        let (scope, domain) = (&target.location, &target.domain);
        let Some(to) = &self.to else {
            return Ok(Check::unclear(TEST_MAIL).found("none was sent: no address was given").fix(format!(
                "`--test-to ADDRESS` sends one, as does `keyctl send-test {scope} --to ADDRESS`"
            )));
        };
        let credential = Credential::of(handover.record, handover.secret);
        let message = message(handover.key, domain, to);
        let (Some(facet), Ok(net)) =
            (provider::provider(handover.key.provider).test_mail(), self.context.net())
        else {
            return Ok(Check::unclear(TEST_MAIL).found("this build sends none"));
        };
        let check = match facet.send(net.by(&credential), &message, domain, Delivery::Real) {
            Ok(sent) => Check::pass(TEST_MAIL).found(format!(
                "on its way from {} to {to}{}",
                message.from,
                sent.message_id.map(|id| format!(" as {id}")).unwrap_or_default()
            )),
            Err(trouble) if proves_nothing(&trouble) => Check::troubled(TEST_MAIL, &trouble),
            Err(trouble) => {
                let why = handover.secret.scrub(&trouble.detail);
                let failed = Failed::new(format!(
                    "HighLevel took it for {scope}, but Mailgun refuses a test mail from {domain} with it: {why}"
                ));
                return Err(match trouble.hint {
                    Some(hint) => failed.hint(hint),
                    None => failed,
                });
            }
        };
        Ok(check.expected("taken by Mailgun"))
    }
}

fn proves_nothing(trouble: &Trouble) -> bool {
    trouble.outcome_unknown || trouble.reason.verdict() == Verdict::Unknown
}

fn asked(context: &Context) -> Option<Address> {
    if context.operator.presence() != Presence::Person {
        return None;
    }
    context.operator.note("HighLevel tells no key back; a mail from each domain that is written proves it.");
    loop {
        let text = context.operator.line("Address for a test mail (Enter: none): ")?;
        context.restart_clock();
        if text.trim().is_empty() {
            return None;
        }
        match text.trim().parse::<Address>() {
            Ok(address) => return Some(address),
            Err(why) => context.operator.warning(why),
        }
    }
}
