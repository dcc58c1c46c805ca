//! Asking again and again what became of a message, until it is known or the
//! time is over.

use std::time::{Duration, Instant};

use crate::clock::Span;
use crate::commands::send_test::{Job, Letter, Status, choice};
use crate::key::{Domain, Reason, Verdict};
use crate::provider::{Fate, MailEvent, Sent, Trouble};
use crate::workflow::managing_key::Keyed;

/// The first pauses are shorter: a test domain delivers at once.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(700)];
const PAUSE: Duration = Duration::from_secs(1);
/// What a question under way when the time is over may still take.
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// Follows a message. Where nobody may look, it stays queued, with a warning.
///
/// # Errors
/// When the way out is not usable.
pub fn follow(
    job: &Job<'_>,
    sent: &Sent,
    letter: &Letter,
    wait: Span,
) -> anyhow::Result<(Status, Vec<MailEvent>)> {
    let console = &job.context.console;
    let (key, record) = (&job.keyed.key, &job.keyed.record);
    let reader = choice::reader(job.inventory, job.scope, key, record).map_err(anyhow::Error::from);
    let reader = reader.and_then(|(key, _)| Keyed::usable(job.context, job.inventory, key));
    let (reader, domain) = match (reader, letter) {
        (Ok(reader), Letter::Message { domain, .. }) => (reader, domain),
        (Err(error), _) => {
            console.warning(format!(
                "what became of it was not followed: a {} key cannot tell, and {error}",
                record.kind
            ));
            return Ok((Status::Queued, Vec::new()));
        }
        (_, Letter::Template(_)) => {
            console.warning(
                "what became of it was not followed: the provider does not tell; look into the mailbox",
            );
            return Ok((Status::Queued, Vec::new()));
        }
    };
    asked(job, sent, &reader, domain, Instant::now() + wait.std())
}

fn asked(
    job: &Job<'_>,
    sent: &Sent,
    reader: &Keyed,
    domain: &Domain,
    end: Instant,
) -> anyhow::Result<(Status, Vec<MailEvent>)> {
    let console = &job.context.console;
    let region = job.keyed.record.region;
    let mut events = Vec::new();
    let mut pauses = PAUSES.into_iter();
    loop {
        let net = job.context.net_until(end + LAST_ANSWER)?;
        let doubt = match job.facet.follow(net.by(&reader.credential()), sent, domain, region) {
            Ok((Fate::Delivered, events)) => return Ok((Status::Delivered, events)),
            Ok((Fate::Failed, events)) => return Ok((Status::Failed, events)),
            Ok((Fate::Pending, seen)) => {
                events = seen;
                None
            }
            Err(trouble) if is_final(&trouble) => {
                console.warning(format!(
                    "what became of it was not followed: `{}` cannot read it: {}",
                    reader.key, trouble.detail
                ));
                return Ok((Status::Queued, events));
            }
            Err(trouble) => Some(trouble),
        };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            if let Some(trouble) = doubt {
                console.warning(format!("what became of it could not be read: {}", trouble.detail));
            }
            console.hint("mail can take minutes; the provider's own log tells later");
            return Ok((Status::Pending, events));
        }
        std::thread::sleep(pauses.next().unwrap_or(PAUSE).min(left));
    }
}

/// Returns whether asking again would be answered the same.
fn is_final(trouble: &Trouble) -> bool {
    match trouble.reason.verdict() {
        Verdict::Rejected | Verdict::Limited | Verdict::Valid => true,
        Verdict::Unknown => trouble.reason == Reason::PermissionNotCheckable,
    }
}
