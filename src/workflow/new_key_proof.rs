//! A secret that is about to be kept: what its provider says of it, and what
//! is recorded of that.

use std::time::Instant;

use crate::context::Context;
use crate::inventory::{Inventory, Mark};
use crate::key::{Expiry, Judgement, KeyRef, Kind, Reason, Record, RecordId, Region, Secret};
use crate::provider;
use crate::provider::{Credential, Net};
use crate::workflow::key_description::Described;
use crate::workflow::{account_identity, key_permissions};

/// A secret, what was said of it, and what was proven.
pub struct Proof<'a> {
    key: &'a KeyRef,
    kind: Kind,
    described: &'a Described,
    secret: &'a Secret,
    pub judgement: Option<Judgement>,
}

/// Returns the way out with the whole time limit from now on: a person may
/// have taken theirs to paste a key.
///
/// # Errors
/// As [`Context::net`].
pub fn net(context: &Context) -> anyhow::Result<Net<'_>> {
    context.net_until(Instant::now() + context.timeout())
}

impl<'a> Proof<'a> {
    /// Begins with what probing for the kind may have told already.
    pub fn of(
        key: &'a KeyRef,
        kind: Kind,
        described: &'a Described,
        secret: &'a Secret,
        judgement: Option<Judgement>,
    ) -> Self {
        Self { key, kind, described, secret, judgement }
    }

    /// Asks the provider, unless it was asked for the kind just now. `seen` is
    /// the record in whose place the secret goes.
    ///
    /// # Errors
    /// When the network cannot be set up (a bad variable).
    pub fn prove(
        mut self,
        context: &Context,
        inventory: &Inventory,
        seen: Option<&Record>,
    ) -> anyhow::Result<Self> {
        let vendor = provider::provider(self.key.provider);
        let mut judgement = match self.judgement.take() {
            Some(held) => held,
            None => {
                context.operator.detail(format!("asking {}", self.key.provider));
                let draft = self.draft();
                vendor.check(&net(context)?, &Credential::of(&draft, self.secret))
            }
        };
        let mut needed = self.draft();
        if let Some(record) = seen.filter(|_| needed.permissions.is_empty()) {
            needed.permissions.clone_from(&record.permissions);
        }
        let provider = self.key.provider;
        let wanted: Vec<String> =
            needed.permissions.iter().map(|it| key_permissions::spelling(provider, it)).collect();
        let states = if judgement.accepted() && !wanted.is_empty() {
            let credential = Credential::of(&needed, self.secret);
            key_permissions::prove(&net(context)?, provider, &credential, &judgement.facts, &wanted)
        } else {
            Vec::new()
        };
        let described = (provider, &needed);
        crate::workflow::validation::judge::judge_alone(
            &mut judgement,
            described,
            &[],
            &states,
            context.now(),
        );
        if judgement.accepted() {
            let credential = Credential::of(&needed, self.secret);
            let asked = &self.described.no_more_than;
            let excess =
                key_permissions::excess(&net(context)?, provider, &credential, &judgement.facts, asked);
            key_permissions::judge_excess(&mut judgement, &excess);
            let held = &self.described.no_less_than;
            let states =
                key_permissions::prove(&net(context)?, provider, &credential, &judgement.facts, held);
            key_permissions::judge(&mut judgement, &[], held, &states);
        }
        account_identity::judge(&mut judgement, inventory, self.key, seen, self.kind);
        judge_domains(&mut judgement, self.key, self.kind, inventory);
        self.judgement = Some(judgement);
        Ok(self)
    }

    /// Returns the record as it would be, under an id of nobody.
    pub fn draft(&self) -> Record {
        let mut record = Record::new(RecordId::from_random([0; 10]), self.kind);
        self.fill(&mut record);
        record
    }

    /// Writes what was said and what was proven into a record.
    pub fn fill(&self, record: &mut Record) {
        let vendor = provider::provider(self.key.provider);
        let before = record.fingerprint.take();
        record.describe_secret(self.secret, vendor.chosen_by_person(self.kind));
        if record.fingerprint.is_none() || record.fingerprint != before {
            // What was recorded of another secret is not true of this one.
            record.remote_id = vendor.embedded_id(self.secret);
            record.account_id = vendor.embedded_account(self.secret).or(record.account_id.take());
            record.remote_name = None;
            record.role = None;
            record.created = None;
            record.expires = Expiry::Unknown;
        }
        if let Some(facts) = self.judgement.as_ref().map(|it| &it.facts) {
            record.identity = facts.identity.clone().or(record.identity.take());
            record.account_id = facts.account_id.clone().or(record.account_id.take());
            record.remote_id = facts.remote_id.clone().or(record.remote_id.take());
            record.remote_name = facts.remote_name.clone().or(record.remote_name.take());
            record.role = facts.role.clone().or(record.role.take());
            record.region = record.region.or(facts.region);
            record.created = facts.created.or(record.created);
            record.expires = facts.expires.unwrap_or(record.expires);
            if self.kind == Kind::Smtp {
                record.login = record.login.take().or_else(|| facts.login.clone());
            }
        }
        self.described.fill(record);
    }
}

/// An account key that HighLevel is to use needs a domain that can be chosen.
fn judge_domains(judgement: &mut Judgement, key: &KeyRef, kind: Kind, inventory: &Inventory) {
    let applies = provider::provider(key.provider).terms().sends_for_highlevel
        && kind == Kind::Account
        && judgement.accepted()
        && (inventory.us_rule(&key.scope.agency) || key.scope.location.is_some())
        && !judgement.facts.unread_regions.contains(&Region::Us);
    let Some(domains) = judgement.facts.domains.as_deref().filter(|_| applies) else { return };
    if !domains.iter().any(|it| it.against.is_empty()) {
        judgement.add(Reason::NoVerifiedUsDomain);
        judgement.detail =
            format!("{}; no domain of the account can be chosen in HighLevel", judgement.detail);
    }
}

/// Returns the other records that hold the same secret.
pub fn same_secret(inventory: &Inventory, key: &KeyRef, proof: &Proof<'_>) -> Vec<KeyRef> {
    let Some(fingerprint) = proof.draft().fingerprint else { return Vec::new() };
    let same = inventory.keys.marked(&Mark::Fingerprint(fingerprint));
    same.map(|(it, _)| it).filter(|it| *it != key).cloned().collect()
}
