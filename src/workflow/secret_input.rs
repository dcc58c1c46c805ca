//! The one owner of stdin and of every other way a secret comes in: stdin, an
//! environment variable, a file, a hidden prompt. What was pasted along is
//! taken away and said; what can be no key is refused here, offline.

use std::io::Read;
use std::path::PathBuf;

use crate::context::Context;
use crate::exit::{Exit, Situation};
use crate::key::text::printable;
use crate::key::{Kind, ProviderId, Secret};
use crate::provider;
use crate::provider::{Candidate, Provider, Recognition, Refusal};

/// More than any key has; a whole file given by mistake is refused.
const LONGEST: u64 = 16 * 1024;

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Stdin,
    Variable(String),
    File(PathBuf),
    /// A hidden prompt with this text.
    Prompt(String),
}

/// A secret that came in, and what its text may be.
#[derive(Debug)]
pub struct Taken {
    pub secret: Secret,
    /// What was pasted along and taken away.
    pub stripped: Vec<String>,
    /// In the order of the providers; certain ones first.
    pub candidates: Vec<(ProviderId, Candidate)>,
    /// Why it can be no key that a provider made.
    refused: Option<Refusal>,
}

impl Taken {
    /// Checks, offline, that the text may be a key of this provider and, where
    /// it is known, this kind. A password that a person chose has no form.
    ///
    /// # Errors
    /// Exit 2: what it is, and what is wanted.
    pub fn fits(&self, provider: ProviderId, kind: Option<Kind>) -> Result<(), Situation> {
        let vendor = provider::provider(provider);
        let text = self.secret.expose();
        let refused = self.others_key(provider).or_else(|| match kind {
            // A person may choose a password that looks like anything.
            Some(kind) if vendor.chosen_by_person(kind) => vendor.fits(kind, text).err(),
            Some(kind) => vendor.fits(kind, text).err().map(|own| self.named(vendor, own)),
            None if self.candidates.iter().any(|(it, _)| *it == provider) => None,
            None => {
                let (what, wanted) = (format!("no {provider} key"), format!("a {provider} key"));
                Some(self.named(vendor, Refusal { what, wanted }))
            }
        });
        match refused {
            None => Ok(()),
            Some(refusal) => Err(self.refusal(&refusal)),
        }
    }

    /// Says that the text is certainly another provider's key.
    fn others_key(&self, provider: ProviderId) -> Option<Refusal> {
        let (other, candidate) =
            self.candidates.iter().find(|(it, candidate)| *it != provider && candidate.certain)?;
        Some(Refusal {
            what: format!("a {other} key of kind {}", candidate.kind),
            wanted: format!("a {provider} key; keep this one as `{other}@…`"),
        })
    }

    /// Returns the one other provider whose key the text has the form of.
    fn others(&self, provider: ProviderId) -> Option<ProviderId> {
        let mut others = self.candidates.iter().map(|(it, _)| *it);
        let first = others.next().filter(|it| *it != provider)?;
        others.all(|it| it == first).then_some(first)
    }

    /// Names what the text is, where that is known, and what is wanted here.
    fn named(&self, vendor: &dyn Provider, refusal: Refusal) -> Refusal {
        match (vendor.recognise(self.secret.expose()), &self.refused) {
            (Recognition::Refused(own), _) => own,
            (_, Some(known)) => Refusal { what: known.what.clone(), ..refusal },
            (_, None) => match self.others(vendor.id()) {
                Some(other) => Refusal {
                    what: format!("a {other} key"),
                    wanted: format!("{}; keep this one as `{other}@…`", refusal.wanted),
                },
                None => refusal,
            },
        }
    }

    /// Returns the kinds the text may be at a provider.
    pub fn kinds(&self, provider: ProviderId) -> Vec<Kind> {
        let own = self.candidates.iter().filter(|(it, _)| *it == provider);
        own.map(|(_, candidate)| candidate.kind).collect()
    }

    /// Checks, offline, that the text may be anybody's key.
    ///
    /// # Errors
    /// Exit 2: what it is, and what is wanted.
    pub fn is_key(&self) -> Result<(), Situation> {
        match &self.refused {
            None => Ok(()),
            Some(refusal) => Err(self.refusal(refusal)),
        }
    }

    fn refusal(&self, refusal: &Refusal) -> Situation {
        let shown = |text: &str| self.secret.scrub(text);
        Situation::new(Exit::Usage, "not-a-key", format!("this is {}", shown(&refusal.what)))
            .hint(format!("wanted: {}", shown(&refusal.wanted)))
    }
}

/// Takes a secret in; whether it can be the key that is wanted is for
/// [`Taken::fits`] to say.
///
/// # Errors
/// Exit 2 when there is nothing or too much; exit 6 when a person would have
/// to be asked and cannot be.
pub fn take(context: &Context, source: &Source) -> anyhow::Result<Taken> {
    take_unless_empty(context, source)?.ok_or_else(|| {
        Situation::usage(format!("{} is empty", name(source)))
            .hint("the key is expected there, such as with `printf %s \"$KEY\" | keyctl …`")
            .into()
    })
}

/// Takes a secret in; `None` when nothing was given, such as by Enter alone.
///
/// # Errors
/// As [`take`].
pub fn take_unless_empty(context: &Context, source: &Source) -> anyhow::Result<Option<Taken>> {
    let pasted = read(context, source)?;
    let taken = look_at(&pasted);
    if !taken.stripped.is_empty() {
        context
            .operator
            .note(format!("note: taken away from the pasted text: {}", taken.stripped.join(", ")));
    }
    Ok(Some(taken).filter(|it| !it.secret.is_empty()))
}

/// Says what a pasted text may be, offline.
pub fn look_at(pasted: &Secret) -> Taken {
    let identified = provider::identify(pasted.expose());
    Taken {
        secret: identified.secret,
        stripped: identified.stripped,
        candidates: identified.candidates,
        refused: identified.refused,
    }
}

fn read(context: &Context, source: &Source) -> anyhow::Result<Secret> {
    match source {
        Source::Stdin => bounded(std::io::stdin().lock(), source),
        Source::Variable(variable) => context.environment.get(variable).map(Secret::new).ok_or_else(|| {
            Situation::usage(format!("the variable `{}` is not set, or empty", printable(variable, 60)))
                .hint("`--from-env` takes the variable's name; it must be exported")
                .into()
        }),
        Source::File(path) => {
            let file = std::fs::File::open(path)
                .map_err(|error| Situation::usage(format!("cannot read `{}`: {error}", path.display())))?;
            bounded(file, source)
        }
        Source::Prompt(text) => match context.operator.secret(text) {
            Ok(Some(secret)) => Ok(secret),
            Ok(None) => Err(Situation::human("a person is needed to paste the key")
                .hint("give it by `--stdin`, `--from-env VAR` or `--from-file PATH`")
                .into()),
            Err(_) => {
                Err(Situation::new(Exit::Interrupted, "interrupted", "interrupted; nothing was changed")
                    .into())
            }
        },
    }
}

fn bounded(reader: impl Read, source: &Source) -> anyhow::Result<Secret> {
    let mut bytes = Vec::new();
    reader
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Situation::usage(format!("cannot read {}: {error}", name(source))))?;
    if bytes.len() as u64 > LONGEST {
        return Err(Situation::usage(format!("{} is longer than any key", name(source))).into());
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        Situation::usage(format!("{} is not text", name(source))).hint("a key is plain ASCII")
    })?;
    Ok(Secret::new(text))
}

fn name(source: &Source) -> String {
    match source {
        Source::Stdin => "stdin".to_owned(),
        Source::Variable(variable) => format!("the variable `{}`", printable(variable, 60)),
        Source::File(path) => format!("`{}`", path.display()),
        Source::Prompt(_) => "the input".to_owned(),
    }
}
