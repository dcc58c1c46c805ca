//! `keyctl rotate`: arguments, and which verb they mean. `plan` decides what
//! would be done, `work` does it step by step, each saved before and after.

mod due;
mod next_step;
mod place;
mod report;

use crate::cli::completions;
use crate::clock::Span;
use crate::commands::CommandContext;
use crate::commands::send_test::Address;
use crate::exit::{Exit, Situation};
use crate::inventory::select::Selected;
use crate::key::{KeyRefArg, Selector};
use crate::workflow::rotation::acknowledge::{self, Change};
use crate::workflow::rotation::options::Options;
use crate::workflow::rotation::{start, undo};

/// Arguments of `rotate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl rotate mailgun@acme --plan                      what would happen; changes nothing
  keyctl rotate mailgun@acme                             plan, question, new key, test, switch
  keyctl rotate mailgun@acme --ack 'HighLevel agency settings'
  keyctl rotate --resume --all                           go on with whatever can go on; for cron
  keyctl rotate brevo@acme --done                        the console step asked of me is done
  keyctl rotate mailgun@acme --compromised --kill-now    it leaked: the old key dies at once
  printf %s \"$NEW\" | keyctl rotate brevo@acme --yes --stdin    a key made in the console

Nothing runs by itself: after the grace period `--resume` retires the old key.")]
pub struct Args {
    /// Keys, or scopes whose keys, to rotate
    #[arg(value_name = "KEYREF|SCOPE", add = completions::selectors())]
    what: Vec<Selector>,
    /// Show what would be done, and to whom
    #[arg(long, group = "verb")]
    plan: bool,
    /// How long both keys work after the last consumer has the new one [default: 24h]
    #[arg(long, value_name = "DURATION")]
    grace: Option<Span>,
    /// The key that makes the new key and deletes the old one
    #[arg(long, value_name = "KEYREF", add = completions::keys())]
    using: Option<KeyRefArg>,
    /// Permissions of the new key, separated by commas
    #[arg(long, value_name = "P,…", value_delimiter = ',')]
    permissions: Vec<String>,
    /// Take a key that a person made in the provider's console from stdin
    #[arg(long)]
    stdin: bool,
    /// Go through the places where a person pastes the key, one by one
    #[arg(long)]
    walk: bool,
    /// Who gets a test mail from each domain that is written to a HighLevel location
    #[arg(long, value_name = "ADDR")]
    test_to: Option<Address>,
    /// The key leaked: no grace period
    #[arg(long)]
    compromised: bool,
    /// Delete the old key before the places have the new one
    #[arg(long, requires = "compromised")]
    kill_now: bool,
    /// Show the rotations under way
    #[arg(long, group = "verb")]
    status: bool,
    /// Go on with a rotation
    #[arg(long, group = "verb")]
    resume: bool,
    /// All rotations under way
    #[arg(long, requires = "resume", conflicts_with = "what")]
    all: bool,
    /// Give up before the switch; the unused key is deleted
    #[arg(long, group = "verb")]
    abort: bool,
    /// Make the old key current again, while it exists
    #[arg(long, group = "verb")]
    rollback: bool,
    /// Record that a place has the current key
    #[arg(long, value_name = "CONSUMER", group = "verb")]
    ack: Vec<String>,
    /// Record that every place has the current key
    #[arg(long, group = "verb")]
    ack_all: bool,
    /// Take an acknowledgement back
    #[arg(long, value_name = "CONSUMER", group = "verb")]
    unack: Vec<String>,
    /// The step asked of me in the provider's console is done
    #[arg(long, conflicts_with_all = ["all", "due", "status", "plan"])]
    done: bool,
    /// I made no key in the provider's console
    #[arg(long, conflicts_with_all = ["all", "due", "status", "plan", "stdin"])]
    not_made: bool,
    /// Nothing uses the old key any more (where the provider's logs cannot be read)
    #[arg(long, conflicts_with_all = ["all", "due", "status", "plan"])]
    unused: bool,
    /// Take over from somebody whose work on it stopped
    #[arg(long)]
    take_over: bool,
    /// List the keys that policy says are due
    #[arg(long, group = "verb")]
    due: bool,
    /// Rotate the keys that are due
    #[arg(long, requires = "due")]
    start: bool,
}

impl Args {
    /// Returns whether the verb is one that no new key is made in.
    fn makes_no_key(&self) -> bool {
        let undoes = self.abort || self.rollback || self.ack_all || !self.ack.is_empty();
        self.status || undoes || !self.unack.is_empty() || (self.due && !self.start)
    }

    /// Returns what the steps of a rotation are told.
    fn options(&self, what: &[Selected]) -> Options {
        let named = what.iter().filter_map(|it| match it {
            Selected::Key(key) => Some(key.clone()),
            Selected::Scope(_) => None,
        });
        Options {
            named: named.collect(),
            all: self.all,
            done: self.done,
            not_made: self.not_made,
            unused: self.unused,
            grace: self.grace,
            using: self.using.clone(),
            permissions: self.permissions.clone(),
            stdin: self.stdin,
            walk: self.walk,
            test_to: self.test_to.clone(),
            compromised: self.compromised,
            kill_now: self.kill_now,
            take_over: self.take_over,
        }
    }
}

/// Runs the verb that the arguments mean.
///
/// # Errors
/// Before anything is changed: whatever speaks against it. Once a rotation is
/// under way, trouble is kept with it and the exit code tells.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let what = context.all_selected(&args.what)?;
    if args.stdin && args.makes_no_key() {
        return Err(Situation::usage(
            "`--stdin` gives the new key, and none is wanted here; it was not taken",
        )
        .hint("`--resume --stdin` gives it to a rotation under way")
        .into());
    }
    let options = args.options(&what);
    if args.status {
        return report::status(context, &what);
    }
    if args.due {
        return due::run(context, &what, args.start, &options);
    }
    if !args.ack.is_empty() || args.ack_all {
        let said = acknowledge::run(context, &what, Change::Acknowledge, &args.ack, &options)?;
        return report::acknowledged(context, said);
    }
    if !args.unack.is_empty() {
        let said = acknowledge::run(context, &what, Change::TakeBack, &args.unack, &options)?;
        return report::acknowledged(context, said);
    }
    if args.abort {
        return report::outcome(context, &vec![undo::abort(context, &what, &options)?].into());
    }
    if args.rollback {
        return report::outcome(context, &vec![undo::rollback(context, &what, &options)?].into());
    }
    let says = args.done || args.not_made || args.unused;
    if args.resume || args.take_over || says {
        let whole = args.all;
        return report::outcome(context, &start::resume(context, &what, whole, &options)?);
    }
    if what.is_empty() {
        return Err(Situation::usage("no key is named")
            .hint("`keyctl rotate KEYREF`, `keyctl rotate --status`, or `keyctl rotate --due`")
            .into());
    }
    if args.plan {
        return report::planned(context, start::plan(context, &what, &options)?);
    }
    report::outcome(context, &start::start(context, &what, &options)?)
}
