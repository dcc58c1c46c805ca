//! A key made by API: announced in the inventory before it is asked for, under
//! a name that carries the record's id, so that one whose secret was lost on
//! the way is found in the list and deleted. Never asked for twice blindly.

use std::time::{Duration, Instant};

use super::New;
use crate::commands::add::one::Added;
use crate::commands::keeping::{Existing, Keeping};
use crate::commands::managing::Managing;
use crate::commands::proving::{self, Proof};
use crate::commands::remember;
use crate::context::Context;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{Expiry, Kind, Reason, Record, Secret, Verdict};
use crate::provider::{self, CreatedKey, Family, KeyAdmin, NewKey, RemoteKey, Trouble};

/// How often a key is asked for when the answer to the first call was lost.
const ATTEMPTS: usize = 2;
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
    /// What the key is called at its provider; the record's id is in it.
    name: String,
    /// The mark alone.
    mark: String,
}

/// Makes the key, keeps it, and proves it.
///
/// # Errors
/// Exit 1 when the provider says no, exit 4 when it is not known whether it
/// made one, exit 7 when the store fails, exit 9 for a key that is there.
pub fn make(context: &Context, new: &New<'_>, managing: &Managing) -> anyhow::Result<Added> {
    let inventory = context.inventory()?;
    let Some(admin) = provider::provider(new.key.provider).keys() else {
        return Err(Situation::usage(format!("the API of {} makes no keys", new.key.provider)).into());
    };
    let mut keeping = Keeping::begin(context, inventory, &new.key, Existing::Refuse)?;
    let place = keeping.store.describe().location;
    context.console.note(format!(
        "`{}` will be made by `{}` and kept in the {} store: {place}",
        new.key,
        managing.keyed.key,
        keeping.store.name()
    ));
    let mark = format!("[keyctl {}]", keeping.id());
    let room = LONGEST_NAME.saturating_sub(mark.len() + 1);
    let name: String = new.name().chars().take(room).collect();
    let workshop =
        Workshop { context, new, admin, managing, name: format!("{} {mark}", name.trim_end()), mark };
    let (secret, remote) = workshop.make(&mut keeping)?;
    workshop.keep(inventory, keeping, &secret, &remote)
}

impl Workshop<'_> {
    fn make(&self, keeping: &mut Keeping<'_>) -> anyhow::Result<(Secret, RemoteKey)> {
        if let Some(secret) = keeping.announced_secret()? {
            self.context.console.note("note: the key was made and stored before; it is taken up");
            let remote = RemoteKey { id: self.id_of(&secret), ..RemoteKey::default() };
            return Ok((secret, remote));
        }
        if keeping.seen().is_some_and(|it| self.announced(it)) {
            self.clear_orphans(keeping.seen().and_then(|it| it.login.as_deref()))?;
        }
        let login = self.login()?;
        keeping.announce(self.new.kind, |record| self.describe(record, login.as_deref()))?;
        for attempt in 1..=ATTEMPTS {
            match self.ask(login.as_deref()) {
                Ok(CreatedKey { secret, remote }) => return Ok((secret, remote)),
                Err(trouble) if trouble.outcome_unknown => {
                    let detail = &trouble.detail;
                    self.context.console.warning(format!("whether a key was made is not known: {detail}"));
                    self.clear_orphans(login.as_deref())?;
                    if attempt == ATTEMPTS {
                        keeping.withdraw()?;
                        return Err(self.not_made(&trouble).into());
                    }
                }
                Err(trouble) => {
                    keeping.withdraw()?;
                    return Err(self.not_made(&trouble).into());
                }
            }
        }
        Err(Situation::failed("not-made", format!("`{}` was not made", self.new.key)).into())
    }

    fn ask(&self, login: Option<&str>) -> Result<CreatedKey, Trouble> {
        let described = &self.new.described;
        let wanted = NewKey {
            kind: self.new.kind,
            domain: described.domain.as_ref(),
            region: described.region,
            role: self.new.role.as_deref(),
            name: &self.name,
            expires_in: self.new.args.expires_in,
            login,
        };
        let net = proving::net(self.context)
            .map_err(|error| Trouble::new(Reason::Unreachable, format!("{error:#}")))?;
        self.admin.create(net.by(&self.managing.keyed.credential()), &wanted)
    }

    /// Returns whether a record was announced by an earlier run of this
    /// command: then a key may exist that nobody knows the secret of.
    fn announced(&self, record: &Record) -> bool {
        record.remote_name.as_ref().is_some_and(|it| it.contains(&self.mark))
    }

    /// Describes the record before there is a key.
    fn describe(&self, record: &mut Record, login: Option<&str>) {
        self.new.described.fill(record);
        record.login = login.map(str::to_owned).or(record.login.take());
        record.remote_name = Some(self.name.clone());
        record.role.clone_from(&self.new.role);
    }

    fn family(&self) -> Family<'_> {
        let described = &self.new.described;
        Family { kind: self.new.kind, domain: described.domain.as_ref(), region: described.region }
    }

    fn list(&self) -> anyhow::Result<Vec<RemoteKey>> {
        let rows = self
            .admin
            .list(proving::net(self.context)?.by(&self.managing.keyed.credential()), &self.family());
        rows.map_err(|trouble| {
            let message = format!("the list of keys could not be read: {}", trouble.detail);
            let hint = format!(
                "a key may have been made; the same command finds it: `keyctl create {}`",
                self.new.key
            );
            Situation::new(Exit::Unknown, trouble.reason.as_str(), message).hint(hint).into()
        })
    }

    /// Deletes what an interrupted attempt made: its secret is known to nobody.
    fn clear_orphans(&self, login: Option<&str>) -> anyhow::Result<()> {
        let is_ours = |row: &RemoteKey| match self.new.kind {
            Kind::Smtp => login.is_some_and(|it| row.id.eq_ignore_ascii_case(it)),
            _ => row.name.as_ref().is_some_and(|name| name.contains(&self.mark)),
        };
        for row in self.list()?.iter().filter(|row| is_ours(row)) {
            self.context.console.note(format!(
                "note: a key that an interrupted attempt made is deleted again, its secret is not known ({})",
                row.id
            ));
            self.delete(&row.id)?;
        }
        Ok(())
    }

    fn delete(&self, id: &str) -> anyhow::Result<()> {
        let net = proving::net(self.context)?;
        let result = self.admin.delete(net.by(&self.managing.keyed.credential()), &self.family(), id);
        result.map(|_| ()).map_err(|trouble| {
            let message =
                format!("the key {id} at {} was not deleted: {}", self.new.key.provider, trouble.detail);
            Situation::new(Exit::Unknown, trouble.reason.as_str(), message)
                .hint(format!("its secret is not known; `keyctl create {}` tries again", self.new.key))
                .into()
        })
    }

    /// Returns the login of a new SMTP key: one that nobody has.
    fn login(&self) -> anyhow::Result<Option<String>> {
        let Some(login) = self.new.described.login.clone().filter(|_| self.new.kind == Kind::Smtp) else {
            return Ok(None);
        };
        let rows = self.list()?;
        let taken = |it: &str| rows.iter().any(|row| row.id.eq_ignore_ascii_case(it));
        if !taken(&login) {
            return Ok(Some(login));
        }
        if self.new.args.login.is_some() {
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
        let passing = trouble.outcome_unknown
            || matches!(
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
            Err(error) => return Err(self.undo(error, remote)),
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
            remember::remember(self.context, &[(key, &record, judgement)])?;
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

    /// A key that could not be kept is of use to nobody.
    fn undo(&self, error: anyhow::Error, remote: &RemoteKey) -> anyhow::Error {
        match self.delete(&remote.id) {
            Ok(()) => error.context("the new key could not be kept and was deleted again"),
            Err(undeleted) => {
                self.context.console.warning(format!("{undeleted:#}"));
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
            self.context.console.detail("the new key is not known yet; trying again");
            std::thread::sleep(PAUSE);
        }
    }
}
