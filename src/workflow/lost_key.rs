//! A key that may have been made although no reply told its secret: it is
//! looked for in the provider's list, and deleted, since nobody can use it.
//! "None was made" is said only of a list that was read long enough after the
//! last call (`KEYCTL_SETTLE`).

use jiff::{SignedDuration, Timestamp};

use crate::clock::Span;
use crate::context::{Context, Slot};
use crate::exit::{Exit, Situation};
use crate::key::{CreateCall, KeyRef, Kind, Record, Verdict};
use crate::provider::{Family, KeyAdmin, RemoteKey, Trouble};
use crate::workflow::create_announcement::{changed, in_words, not_made_command};
use crate::workflow::managing_key::Keyed;
use crate::workflow::{create_announcement, new_key_proof};

/// How much later than keyctl's call a login may have been made to count as
/// keyctl's: a queue at the provider, and clocks that differ.
const LATE: SignedDuration = SignedDuration::from_mins(10);

/// What a search needs.
pub struct Search<'a> {
    pub context: &'a Context,
    pub admin: &'a dyn KeyAdmin,
    /// The key that asked for the lost one: it sees the same account.
    pub manager: &'a Keyed,
    pub key: &'a KeyRef,
    /// The announcement.
    pub record: &'a Record,
    pub settle: Span,
    /// The command that goes on.
    pub again: String,
}

/// What a list showed of the key.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    /// Rows; one may be of a key that is gone already.
    listed: usize,
    deleted: usize,
}

impl Search<'_> {
    /// Settles what an earlier call left. Afterwards no key of it exists, and
    /// another may be asked for.
    ///
    /// # Errors
    /// Exit 4 while that is not known, saying when it will be; exit 1 when what
    /// was made may not be deleted, exit 9 when another process is at it.
    pub fn settle(&self) -> anyhow::Result<()> {
        let now = self.context.now();
        let last = self.record.create_call.as_ref().map(|it| it.at);
        let settled = last.is_some_and(|at| now >= self.ready_after(at));
        let found = self.delete_what_was_made()?;
        // A login's name is used again: its end has to be seen first.
        let ended = found.listed == 0 || self.record.kind != Kind::Smtp || self.settle.seconds == 0;
        if settled && ended {
            return Ok(());
        }
        let ready = match last {
            Some(at) if found.deleted == 0 => at,
            // An earlier version did not record the moment.
            None if found.deleted == 0 => {
                self.note_call()?;
                now
            }
            _ => self.context.now(),
        };
        let message = if found.deleted > 0 {
            format!("a key that was made for `{}`, and whose secret was lost, was deleted again", self.key)
        } else if found.listed > 0 {
            format!("the list still shows the key that was made for `{}` and deleted again", self.key)
        } else {
            format!(
                "it is not known yet whether a key was made for `{}`: the list shows none so far",
                self.key
            )
        };
        Err(self.unsettled(message, ready).into())
    }

    /// Returns the end of a call that made a key, or did not: nobody knows.
    /// Looks for it once.
    pub fn after_lost_reply(&self, trouble: &Trouble) -> anyhow::Error {
        let message =
            format!("it is not known whether a key was made for `{}`: {}", self.key, trouble.detail);
        if let Err(error) = self.note_call() {
            return error.context(message);
        }
        let last = self.context.now();
        match self.delete_what_was_made() {
            Ok(found) if found.deleted == 0 => self.unsettled(message, last).into(),
            Ok(_) => {
                let found = format!(
                    "a key was made for `{}`, but the reply with its secret was lost ({}); it was deleted again",
                    self.key, trouble.detail
                );
                self.unsettled(found, self.context.now()).into()
            }
            Err(error) => error.context(message),
        }
    }

    /// Records that a call about this key was made now.
    ///
    /// # Errors
    /// When the inventory cannot be written.
    pub fn note_call(&self) -> anyhow::Result<()> {
        let call = CreateCall { at: self.context.now(), using: Some(self.manager.key.clone()) };
        create_announcement::note_call(self.context, self.key, &self.record.id, &call)
    }

    /// Deletes a key; `Ok(false)`: it was gone already.
    ///
    /// # Errors
    /// Exit 4 when it is not known whether it was deleted, exit 1 when the
    /// provider refuses; the announcement stays.
    pub fn delete(&self, id: &str) -> anyhow::Result<bool> {
        let net = new_key_proof::net(self.context)?;
        let result = self.admin.delete(net.by(&self.manager.credential()), &self.family(), id);
        if !matches!(result, Ok(false)) {
            self.note_call()?;
        }
        let trouble = match result {
            Ok(deleted) => return Ok(deleted),
            Err(trouble) => trouble,
        };
        let unknown = trouble.outcome_unknown || trouble.reason.verdict() == Verdict::Unknown;
        let exit = if unknown { Exit::Unknown } else { Exit::Failed };
        let word = if trouble.outcome_unknown { "may still be there" } else { "was not deleted" };
        let message = format!("the key {id} at {} {word}: {}", self.key.provider, trouble.detail);
        let advice = trouble.hint.map(|it| format!("{it}; ")).unwrap_or_default();
        let hint = format!("{advice}its secret is not known; `{}` tries again", self.again);
        Err(Situation::new(exit, trouble.reason.as_str(), message).hint(hint).into())
    }

    /// Looks for what was made and deletes it.
    fn delete_what_was_made(&self) -> anyhow::Result<Found> {
        let rows = self.list()?;
        let mut found = Found::default();
        for row in rows.iter().filter(|row| self.is_ours(row)) {
            if self.record.kind == Kind::Smtp && self.is_another_ones(row) {
                return Err(self.another_login(row).into());
            }
            self.must_be_lost()?;
            self.context.operator.note(format!(
                "note: a key that an interrupted attempt made is deleted again, its secret is not known ({})",
                row.id
            ));
            found.listed += 1;
            found.deleted += usize::from(self.delete(&row.id)?);
        }
        Ok(found)
    }

    fn list(&self) -> anyhow::Result<Vec<RemoteKey>> {
        let net = new_key_proof::net(self.context)?;
        self.admin.list(net.by(&self.manager.credential()), &self.family()).map_err(|trouble| {
            let message = format!("the list of keys could not be read: {}", trouble.detail);
            Situation::new(Exit::Unknown, trouble.reason.as_str(), message)
                .hint(format!("a key may have been made; the same command looks for it: `{}`", self.again))
                .into()
        })
    }

    fn family(&self) -> Family<'_> {
        let Record { kind, domain, region, .. } = self.record;
        Family { kind: *kind, domain: domain.as_ref(), region: *region }
    }

    fn is_ours(&self, row: &RemoteKey) -> bool {
        match self.record.kind {
            Kind::Smtp => self.record.login.as_ref().is_some_and(|it| row.id.eq_ignore_ascii_case(it)),
            _ => row.name.as_ref().is_some_and(|name| name.contains(&self.record.mark())),
        }
    }

    /// A login bears no mark: one that was made long after keyctl's last call
    /// is somebody else's of the same name.
    fn is_another_ones(&self, row: &RemoteKey) -> bool {
        let last = self.record.create_call.as_ref().map(|it| it.at);
        let (Some(created), Some(last)) = (row.created, last) else { return false };
        created.duration_since(last) > LATE
    }

    fn another_login(&self, row: &RemoteKey) -> Situation {
        Situation::refused(
            "login-exists",
            format!("there is a login `{}` that was made after keyctl asked for one of that name", row.id),
        )
        .hint(format!(
            "it is left alone; take the announcement back, {}, and choose another name with `--login`",
            not_made_command(self.key)
        ))
    }

    /// Checks that no other process holds the secret by now.
    fn must_be_lost(&self) -> anyhow::Result<()> {
        let inventory = self.context.inventory_file.load()?;
        let held = inventory.keys.get(self.key).filter(|it| {
            it.id == self.record.id && it.pending == self.record.pending && it.current.is_none()
        });
        let Some(held) = held else { return Err(changed(self.key).into()) };
        match self.context.secret(&inventory, self.key, held, Slot::Pending).map_err(Situation::from)? {
            None => Ok(()),
            Some(_) => Err(changed(self.key).into()),
        }
    }

    fn ready_after(&self, at: Timestamp) -> Timestamp {
        at.saturating_add(SignedDuration::from_secs(self.settle.seconds)).unwrap_or(Timestamp::MAX)
    }

    /// The announcement stays; says when to go on, and how.
    fn unsettled(&self, message: String, last: Timestamp) -> Situation {
        let when = in_words(self.ready_after(last), self.context.now()).unwrap_or_else(|| "now".to_owned());
        Situation::new(Exit::Unknown, "outcome-unknown", message).hint(format!(
            "the key stays announced; run the command again {when}: `{}` looks for the key first. If you know \
             that none was made: {}",
            self.again,
            not_made_command(self.key)
        ))
    }
}
