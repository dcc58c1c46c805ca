//! Every environment variable that is read, each documented here; nobody else
//! reads the environment. (The exceptions are libraries that honour `NO_COLOR`,
//! `CLICOLOR_FORCE`, `SSL_CERT_FILE`, the proxy variables and the session bus;
//! and the login name, for a rotation's lock and acknowledgements.)

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Span;
use crate::exit::Situation;
use crate::key::shape::holds_key;

/// How long a provider's list of keys may lag behind a change. No provider
/// states a figure; Mailgun only documents that it is eventually consistent.
pub const DEFAULT_SETTLE: Span = Span::seconds(120);

/// The variable that sets another span than [`DEFAULT_SETTLE`].
pub const SETTLE: &str = "KEYCTL_SETTLE";

/// The environment as it was at the start.
#[derive(Clone, Default)]
pub struct Environment {
    variables: Arc<BTreeMap<OsString, OsString>>,
}

/// The variables of the contract with their meaning, for `help environment`.
pub const DOCUMENTED: &[(&str, &str)] = &[
    ("KEYCTL_INVENTORY", "path of the inventory, like --inventory"),
    ("KEYCTL_STORE", "store to use, like --store"),
    ("KEYCTL_FORMAT", "table, json or plain, like --format"),
    ("KEYCTL_SCOPE", "scope that completes a key ref without @…, like --scope"),
    ("KEYCTL_NO_INPUT", "never ask, like --no-input"),
    ("KEYCTL_SECRET_…", "the env store: a secret by its key ref (`keyctl show` prints the name)"),
    (
        "KEYCTL_SETTLE",
        "how long a provider's list of keys may lag behind (2m; less only with origins on loopback)",
    ),
    ("KEYCTL_STORE_FILE", "the file store: path of the age file"),
    ("KEYCTL_IDENTITY_FILE", "the file store: path of the age identity"),
    ("KEYCTL_IDENTITY", "the file store: the age identity by value (CI secrets)"),
    ("KEYCTL_PASSPHRASE_FILE", "the file store: file with the passphrase of the identity"),
    ("KEYCTL_MAILGUN_US_URL", "origin instead of Mailgun's US API"),
    ("KEYCTL_MAILGUN_EU_URL", "origin instead of Mailgun's EU API"),
    ("KEYCTL_BREVO_URL", "origin instead of Brevo's API"),
    ("KEYCTL_KLAVIYO_URL", "origin instead of Klaviyo's API"),
    ("KEYCTL_HIGHLEVEL_URL", "origin instead of HighLevel's API"),
    ("KEYCTL_MAILGUN_US_SMTP", "HOST:PORT instead of Mailgun's US relay"),
    ("KEYCTL_MAILGUN_EU_SMTP", "HOST:PORT instead of Mailgun's EU relay"),
    ("KEYCTL_BREVO_SMTP", "HOST:PORT instead of Brevo's relay"),
    ("KEYCTL_DNS", "IP:PORT of the resolver for --dns"),
    ("KEYCTL_CA_FILE", "extra PEM roots for HTTPS and SMTP"),
    ("SSL_CERT_FILE", "PEM roots instead of the system's"),
    ("HTTPS_PROXY, NO_PROXY", "the proxy for https, and what goes past it"),
    (
        "GITHUB_STEP_SUMMARY, GITHUB_WORKSPACE",
        "--report github: where the step's summary and the working tree are",
    ),
    ("NO_COLOR, CLICOLOR_FORCE", "no colour, colour in pipes"),
    (
        "XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME",
        "where the inventory, the file store and the state live",
    ),
];

impl Environment {
    /// Reads the process's environment.
    pub fn of_process() -> Self {
        Self { variables: Arc::new(std::env::vars_os().collect()) }
    }

    /// Returns one that holds these variables and no others.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { variables: Arc::new(variables.collect()) }
    }

    /// Returns a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        self.variables
            .get(std::ffi::OsStr::new(name))?
            .to_str()
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
    }

    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.variables.get(std::ffi::OsStr::new(name)).filter(|it| !it.is_empty()).map(PathBuf::from)
    }

    /// Returns whether a switch is on: set, and not `0`, `false` or `no`.
    pub fn switch(&self, name: &str) -> bool {
        self.get(name).is_some_and(|it| !["0", "false", "no"].contains(&it.to_lowercase().as_str()))
    }

    /// Returns how long a provider's list of keys may lag behind a change, as
    /// `KEYCTL_SETTLE` says, else [`DEFAULT_SETTLE`]. Whether so short a time
    /// is allowed depends on where the provider is reached
    /// (`Context::settle`).
    ///
    /// # Errors
    /// Exit 2 for a value that is no duration.
    pub fn settle(&self) -> Result<Span, Situation> {
        let Some(text) = self.get(SETTLE) else { return Ok(DEFAULT_SETTLE) };
        text.trim().parse().map_err(|why: String| {
            // A key in the wrong variable must not come out in a job's log.
            let why = if holds_key(&text) { "what it holds looks like a key".to_owned() } else { why };
            Situation::usage(format!("the variable `{SETTLE}`: {why}")).hint(format!(
                "unset it to wait the usual {DEFAULT_SETTLE}, or write a longer time, such as `{SETTLE}=5m`"
            ))
        })
    }

    /// Returns who is at work, for what others read: the login name, as the
    /// system's session has it (`USER`, `LOGNAME`, `USERNAME`), else the user id.
    pub fn user(&self) -> String {
        let named = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| self.get(name));
        let named = named.map(|it| crate::key::text::printable(&it, 60));
        #[cfg(unix)]
        return named.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()));
        #[cfg(not(unix))]
        named.unwrap_or_else(|| "somebody".to_owned())
    }

    /// Returns all variables, of which `KEYCTL_SECRET_…` are the `env` store.
    pub fn shared(&self) -> Arc<BTreeMap<OsString, OsString>> {
        Arc::clone(&self.variables)
    }

    /// Returns the names that begin with `KEYCTL_`, set or empty.
    pub fn own_names(&self) -> Vec<String> {
        let names = self.variables.keys().filter_map(|it| it.to_str());
        names.filter(|it| it.starts_with("KEYCTL_")).map(str::to_owned).collect()
    }

    /// Returns the variables a child process is given.
    pub fn all(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.variables.iter()
    }
}
