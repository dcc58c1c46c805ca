//! A key made by API: announced in the inventory before it is asked for, under
//! a name that carries the record's id, so that one whose secret was lost on
//! the way is found in the list and deleted (`lost_key`). Asked for once; not
//! again before it is known what became of that.

use std::time::{Duration, Instant};

use crate::clock::Span;
use crate::context::Context;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{CreateCall, Expiry, Kind, Reason, Record, Secret, Verdict, record};
use crate::provider;
use crate::provider::{CreatedKey, Family, KeyAdmin, NewKey, RemoteKey, Trouble};
use crate::workflow::add_key::Added;
use crate::workflow::lost_key::Search;
use crate::workflow::managing_key::{Keyed, Managing};
use crate::workflow::new_key_proof::Proof;
use crate::workflow::new_key_request::New;
use crate::workflow::store_secret::{Existing, Keeping};
use crate::workflow::{create_announcement, new_key_proof, verdict_memory};

/// How long a new key may be unknown to its provider (Mailgun documents that
/// it is eventually consistent, and no number).
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);
/// The longest description that is given to a provider.
const LONGEST_NAME: usize = 100;

/// What is at hand to make a key.
struct Workshop<'a> {
    context: &'a Context,
    new: &'a New<'a>,
    admin: &'a dyn KeyAdmin,
    managing: &'a Managing,
    /// What the key is called at its provider; the record's mark is in it.
    name: String,
    settle: Span,
}

/// Makes the key, keeps it, and proves it.
///
/// # Errors
/// Exit 1 when the provider says no, exit 4 when it is not known whether it
/// made one (the announcement stays), exit 7 when the store fails, exit 9 for a
/// key that is there.
pub fn make(context: &Context, new: &New<'_>, managing: &Managing) -> anyhow::Result<Added> {
    let inventory = context.inventory()?;
    let Some(admin) = provider::provider(new.key.provider).keys() else {
        return Err(Situation::usage(format!("the API of {} makes no keys", new.key.provider)).into());
    };
    let settle = context.settle(new.key.provider)?;
    let mut keeping = Keeping::begin(context, inventory, &new.key, Existing::Refuse)?;
    let place = keeping.store.describe().location;
    context.operator.note(format!(
        "`{}` will be made by `{}` and kept in the {} store: {place}",
        new.key,
        managing.keyed.key,
        keeping.store.name()
    ));
    let mark = record::mark(keeping.id());
    let room = LONGEST_NAME.saturating_sub(mark.len() + 1);
    let name: String = new.name().chars().take(room).collect();
    let name = format!("{} {mark}", name.trim_end());
    let workshop = Workshop { context, new, admin, managing, name, settle };
    let (secret, remote) = workshop.make(&mut keeping)?;
    workshop.keep(inventory, keeping, &secret, &remote)
}

impl Workshop<'_> {
    fn make(&self, keeping: &mut Keeping<'_>) -> anyhow::Result<(Secret, RemoteKey)> {
        if let Some(secret) = keeping.announced_secret()? {
            self.context.operator.note("note: the key was made and stored before; it is taken up");
            let remote = RemoteKey { id: self.id_of(&secret), ..RemoteKey::default() };
            return Ok((secret, remote));
        }
        if let Some(record) = keeping.seen().filter(|it| it.is_unsettled()) {
            self.settle(record)?;
        }
        let login = self.login()?;
        keeping.announce(self.new.kind, |record| self.describe(record, login.as_deref()))?;
        match self.ask(login.as_deref()) {
            Ok(CreatedKey { secret, remote }) => Ok((secret, remote)),
            Err(trouble) if trouble.outcome_unknown => Err(match keeping.seen() {
                Some(record) => self.search(&self.managing.keyed, record).after_lost_reply(&trouble),
                None => self.not_made(&trouble).into(),
            }),
            Err(trouble) => {
                keeping.withdraw()?;
                Err(self.not_made(&trouble).into())
            }
        }
    }

    /// Finds out what became of an earlier call, by the key that made it.
    fn settle(&self, record: &Record) -> anyhow::Result<()> {
        let using = record.create_call.as_ref().and_then(|it| it.using.as_ref());
        let Some(using) = using.filter(|it| **it != self.managing.keyed.key) else {
            return self.search(&self.managing.keyed, record).settle();
        };
        let manager = Keyed::read(self.context, self.context.inventory()?, using).map_err(|error| {
            let key = &self.new.key;
            let message =
                format!("whether a key was made for `{key}` only the list of `{using}` tells: {error:#}");
            let hint =
                format!("if you know that none was made: {}", create_announcement::not_made_command(key));
            Situation::new(Exit::Unknown, "outcome-unknown", message).hint(hint)
        })?;
        self.search(&manager, record).settle()
    }

    fn search<'s>(&'s self, manager: &'s Keyed, record: &'s Record) -> Search<'s> {
        Search {
            context: self.context,
            admin: self.admin,
            manager,
            key: &self.new.key,
            record,
            settle: self.settle,
            again: self.new.again(&[]),
        }
    }

    fn ask(&self, login: Option<&str>) -> Result<CreatedKey, Trouble> {
        let described = &self.new.described;
        let wanted = NewKey {
            kind: self.new.kind,
            domain: described.domain.as_ref(),
            region: described.region,
            role: self.new.role.as_deref(),
            name: &self.name,
            expires_in: self.new.options.expires_in,
            login,
        };
        let net = new_key_proof::net(self.context)
            .map_err(|error| Trouble::new(Reason::Unreachable, format!("{error:#}")))?;
        self.admin.create(net.by(&self.managing.keyed.credential()), &wanted)
    }

    /// Describes the record before there is a key.
    fn describe(&self, record: &mut Record, login: Option<&str>) {
        self.new.described.fill(record);
        record.login = login.map(str::to_owned).or(record.login.take());
        record.remote_name = Some(self.name.clone());
        record.role.clone_from(&self.new.role);
        let using = Some(self.managing.keyed.key.clone());
        record.create_call = Some(CreateCall { at: self.context.now(), using });
    }

    /// Returns the login of a new SMTP key: one that nobody has.
    fn login(&self) -> anyhow::Result<Option<String>> {
        let Some(login) = self.new.described.login.clone().filter(|_| self.new.kind == Kind::Smtp) else {
            return Ok(None);
        };
        let described = &self.new.described;
        let family =
            Family { kind: self.new.kind, domain: described.domain.as_ref(), region: described.region };
        let net = new_key_proof::net(self.context)?;
        let rows =
            self.admin.list(net.by(&self.managing.keyed.credential()), &family).map_err(|trouble| {
                let message = format!("the list of logins could not be read: {}", trouble.detail);
                Situation::new(Exit::Unknown, trouble.reason.as_str(), message)
                    .hint("nothing was made; try again later")
            })?;
        let taken = |it: &str| rows.iter().any(|row| row.id.eq_ignore_ascii_case(it));
        if !taken(&login) {
            return Ok(Some(login));
        }
        if self.new.options.login.is_some() {
            return Err(Situation::refused("login-exists", format!("there is a login `{login}` already"))
                .hint("take another name; to keep that one, `keyctl add` its password")
                .into());
        }
        let (user, domain) = login.split_once('@').unwrap_or((&login, ""));
        let mut numbered = (2..1000).map(|n| format!("{user}-{n}@{domain}"));
        let free = numbered.find(|it| !taken(it));
        free.map(Some).ok_or_else(|| {
            Situation::failed("no-free-login", format!("every login `{user}-N` is taken")).into()
        })
    }

    fn not_made(&self, trouble: &Trouble) -> Situation {
        let passing = matches!(
            trouble.reason,
            Reason::Unreachable
                | Reason::Tls
                | Reason::RateLimited
                | Reason::ProviderError
                | Reason::IpBlocked
        );
        let exit = if passing { Exit::Unknown } else { Exit::Failed };
        let message = format!("`{}` was not made: {}", self.new.key, trouble.detail);
        let situation = Situation::new(exit, trouble.reason.as_str(), message);
        situation.hint(
            trouble.hint.clone().unwrap_or_else(|| "nothing was made or changed; try again later".to_owned()),
        )
    }

    fn id_of(&self, secret: &Secret) -> String {
        let embedded = provider::provider(self.new.key.provider).embedded_id(secret);
        embedded.unwrap_or_default()
    }

    /// Keeps the secret at once, since it is told once, and proves it then.
    fn keep(
        &self,
        inventory: &Inventory,
        keeping: Keeping<'_>,
        secret: &Secret,
        remote: &RemoteKey,
    ) -> anyhow::Result<Added> {
        let (key, kind) = (&self.new.key, self.new.kind);
        let store = keeping.store.name().to_owned();
        // A login that was announced counts, not the one that was wished for.
        let mut described = self.new.described.clone();
        if kind == Kind::Smtp {
            described.login = keeping.seen().and_then(|it| it.login.clone()).or(described.login);
        }
        let announced = keeping.seen().cloned();
        let proof = Proof::of(key, kind, &described, secret, None);
        let tell = |record: &mut Record| {
            record.remote_name = Some(self.name.clone()).filter(|_| kind != Kind::Smtp);
            record.role =
                remote.role.clone().or_else(|| self.new.role.clone()).filter(|_| kind == Kind::Account);
            record.remote_id =
                Some(remote.id.clone()).filter(|it| !it.is_empty()).or(record.remote_id.take());
            record.created = remote.created.or(record.created);
            if let Some(end) = remote.expires {
                record.expires = Expiry::At(end);
            }
        };
        let kept = keeping.keep(kind, secret, |record| {
            proof.fill(record);
            tell(record);
        });
        let mut record = match kept {
            Ok(record) => record,
            Err(error) => return Err(self.undo(error, announced.as_ref(), remote)),
        };
        let proof = self.prove(proof, inventory)?;
        self.context.update(|inventory| {
            if let Some(held) = inventory.keys.get_mut(key).filter(|it| it.id == record.id) {
                proof.fill(held);
                tell(held);
                record = held.clone();
            }
            Ok(())
        })?;
        if let Some(judgement) = &proof.judgement {
            verdict_memory::remember(self.context, &[(key, &record, judgement)]);
        }
        Ok(Added {
            key: key.clone(),
            record,
            saved: true,
            replaced: false,
            judgement: proof.judgement.clone(),
            store,
            same_secret: Vec::new(),
            stripped: Vec::new(),
        })
    }

    /// A key that could not be kept is of use to nobody. It stays announced: its
    /// end was not seen yet.
    fn undo(&self, error: anyhow::Error, announced: Option<&Record>, remote: &RemoteKey) -> anyhow::Error {
        let Some(record) = announced else { return error };
        match self.search(&self.managing.keyed, record).delete(&remote.id) {
            Ok(_) => error.context("the new key could not be kept and was deleted again"),
            Err(undeleted) => {
                self.context.operator.warning(format!("{undeleted:#}"));
                error.context(format!("the new key {} could not be kept", remote.id))
            }
        }
    }

    /// A refusal in the first seconds means "not yet".
    fn prove<'p>(&self, proof: Proof<'p>, inventory: &Inventory) -> anyhow::Result<Proof<'p>> {
        let end = Instant::now() + PATIENCE.min(self.context.timeout());
        let mut proof = proof;
        loop {
            proof.judgement = None;
            proof = proof.prove(self.context, inventory, None)?;
            let refused = proof.judgement.as_ref().map(|it| it.verdict()) == Some(Verdict::Rejected);
            if !refused || Instant::now() >= end {
                return Ok(proof);
            }
            self.context.operator.detail("the new key is not known yet; trying again");
            std::thread::sleep(PAUSE);
        }
    }
}
