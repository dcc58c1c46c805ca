//! The wiring: operator, clock, environment, inventory, stores, transport, each
//! made when first needed. Nobody else asks for the time or reads the
//! environment.

mod endpoints;
pub mod env;
mod secrets;
mod slot;
mod stored;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use etcetera::BaseStrategy;
use jiff::Timestamp;

pub use env::Environment;
pub use slot::Slot;
pub use stored::{Mismatch, Stored, Unusable, Usable, Wanted, version_of};

use crate::clock::Span;
use crate::exit::Situation;
use crate::inventory::Inventory;
use crate::inventory::file::InventoryFile;
use crate::inventory::select::Selected;
use crate::key::{Fingerprint, Judgement, KeyRef, KeyRefArg, Scope, Secret, Selector};
use crate::operator::Operator;
use crate::provider::{self, Net};
use crate::state::StateFolder;
use crate::store::Store;
use crate::{http, smtp};

/// What sets a proxy for https, as every program reads it.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// How long a command may talk when `--timeout` says nothing.
const DEFAULT_TIMEOUT: Span = Span::seconds(30);

/// What holds for every command.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The inventory file; `None`: the usual place.
    pub inventory: Option<PathBuf>,
    /// The store of this call, whatever the records say.
    pub store: Option<String>,
    /// Completes a key ref without `@…`.
    pub scope: Option<Scope>,
    /// How long a command, or each of many calls, may take.
    pub timeout: Option<Span>,
}

/// What a command works with.
pub struct Context {
    pub operator: Arc<dyn Operator>,
    pub environment: Environment,
    pub options: Options,
    pub inventory_file: InventoryFile,
    pub state: StateFolder,
    started: Cell<Instant>,
    folders: Folders,
    inventory: OnceCell<Inventory>,
    stores: RefCell<BTreeMap<&'static str, Arc<dyn Store>>>,
    network: OnceLock<Network>,
    asked: RefCell<BTreeMap<Fingerprint, Judgement>>,
    hinted: RefCell<BTreeSet<String>>,
}

/// The folders of keyctl on this machine.
#[derive(Debug, Clone)]
pub struct Folders {
    pub config: PathBuf,
    pub data: PathBuf,
    pub state: PathBuf,
}

struct Network {
    client: http::Client,
    speaker: smtp::Speaker,
}

impl Context {
    /// Wires a command's context in the folders of this machine; touches no file.
    ///
    /// # Errors
    /// When there is no home folder.
    pub fn new(
        operator: Arc<dyn Operator>,
        environment: Environment,
        options: Options,
    ) -> anyhow::Result<Self> {
        Ok(Self::within(Folders::find()?, operator, environment, options))
    }

    /// Wires a context whose files are in these folders; touches none.
    pub fn within(
        folders: Folders,
        operator: Arc<dyn Operator>,
        environment: Environment,
        options: Options,
    ) -> Self {
        let path = options.inventory.clone().unwrap_or_else(|| folders.inventory());
        #[cfg(debug_assertions)]
        for (name, arm) in [
            ("KEYCTL_DEBUG_CRASH_AT", crate::checkpoint::arm as fn(i64)),
            ("KEYCTL_DEBUG_STOP_AT", crate::checkpoint::arm_to_stop),
        ] {
            if let Some(point) = environment.get(name).and_then(|it| it.parse().ok()) {
                arm(point);
            }
        }
        Self {
            operator,
            inventory_file: InventoryFile::at(path).waiting(lock_limit(&options)),
            state: StateFolder::at(&folders.state),
            environment,
            options,
            started: Cell::new(Instant::now()),
            folders,
            inventory: OnceCell::new(),
            stores: RefCell::new(BTreeMap::new()),
            network: OnceLock::new(),
            asked: RefCell::default(),
            hinted: RefCell::default(),
        }
    }

    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// Returns the time. Builds with debug assertions can be told another one,
    /// so that tests need not wait for a grace period.
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        #[cfg(debug_assertions)]
        if let Some(offset) = self.environment.get("KEYCTL_DEBUG_CLOCK_OFFSET").and_then(|it| it.parse().ok())
        {
            return Span::seconds(offset).after(now);
        }
        now
    }

    /// Returns the inventory as it was when first asked for.
    ///
    /// # Errors
    /// When the file is damaged; names file, line and column.
    pub fn inventory(&self) -> anyhow::Result<&Inventory> {
        if let Some(held) = self.inventory.get() {
            return Ok(held);
        }
        let loaded = self.inventory_file.load()?;
        Ok(self.inventory.get_or_init(|| loaded))
    }

    /// Changes the inventory file under its lock. What [`Self::inventory`]
    /// returned before stays as it was.
    ///
    /// # Errors
    /// What `change` says, or when the file is damaged or cannot be written;
    /// nothing is changed then.
    pub fn update<T>(&self, change: impl FnOnce(&mut Inventory) -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.inventory_file.update(change)
    }

    /// Completes a key ref as typed: `--scope`, `KEYCTL_SCOPE`, the
    /// inventory's default, its only agency.
    ///
    /// # Errors
    /// When nothing says which scope is meant.
    pub fn complete(&self, typed: &KeyRefArg) -> anyhow::Result<KeyRef> {
        let scope = match (&typed.scope, &self.options.scope) {
            (Some(scope), _) | (None, Some(scope)) => scope.clone(),
            (None, None) => self.inventory()?.only_scope().ok_or_else(|| {
                Situation::usage(format!("`{}` does not say at which scope", typed.provider)).hint(format!(
                    "write `{}@AGENCY`, or name a default: `keyctl scope set AGENCY --default`",
                    typed.provider
                ))
            })?,
        };
        Ok(KeyRef::new(typed.provider, typed.label.clone(), scope))
    }

    /// Returns the scope or whole key ref that a selector means.
    ///
    /// # Errors
    /// As [`Self::complete`].
    pub fn selected(&self, selector: &Selector) -> anyhow::Result<Selected> {
        Ok(match selector {
            Selector::Key(typed) => Selected::Key(self.complete(typed)?),
            Selector::Scope(scope) => Selected::Scope(scope.clone()),
        })
    }

    /// Returns what several selectors mean.
    ///
    /// # Errors
    /// As [`Self::complete`].
    pub fn all_selected(&self, selectors: &[Selector]) -> anyhow::Result<Vec<Selected>> {
        selectors.iter().map(|it| self.selected(it)).collect()
    }

    /// Returns what a key was found to be worth that is asked on behalf of
    /// others; asks the first time only.
    pub fn asked_once(&self, secret: &Secret, ask: impl FnOnce() -> Judgement) -> Judgement {
        let fingerprint = secret.fingerprint();
        let known = self.asked.borrow().get(&fingerprint).cloned();
        known.unwrap_or_else(|| {
            let judgement = ask();
            self.asked.borrow_mut().insert(fingerprint, judgement.clone());
            judgement
        })
    }

    /// Gives a hint that would be the same again, once in a run.
    pub fn hint_once(&self, text: String) {
        if !self.hinted.borrow().contains(&text) {
            self.operator.hint(&text);
            self.hinted.borrow_mut().insert(text);
        }
    }

    /// Returns the time a single operation may take.
    pub fn timeout(&self) -> std::time::Duration {
        self.options.timeout.unwrap_or(DEFAULT_TIMEOUT).std()
    }

    /// Returns the moment the whole command gives up.
    pub fn deadline(&self) -> Instant {
        self.started.get() + self.timeout()
    }

    /// Gives the command its whole time again: a person took theirs, or the
    /// next of many things begins.
    pub fn restart_clock(&self) {
        self.started.set(Instant::now());
    }

    /// Returns the way out, until the command's deadline. Says once which
    /// vendor origins are overridden.
    ///
    /// # Errors
    /// When an overriding variable or a root file is unusable.
    pub fn net(&self) -> anyhow::Result<Net<'_>> {
        self.net_until(self.deadline())
    }

    /// Returns the way out with a limit of its own.
    ///
    /// # Errors
    /// As [`Self::net`].
    pub fn net_until(&self, deadline: Instant) -> anyhow::Result<Net<'_>> {
        let network = match self.network.get() {
            Some(held) => held,
            None => {
                let made = self.open_network()?;
                self.network.get_or_init(|| made)
            }
        };
        Ok(Net { http: &network.client, smtp: &network.speaker, now: self.now(), deadline, patience: None })
    }

    fn open_network(&self) -> anyhow::Result<Network> {
        let mut origins = BTreeMap::new();
        let mut relays = BTreeMap::new();
        for provider in provider::TABLE {
            for host in provider.hosts() {
                if let Some(origin) = self.other_origin(host)? {
                    origins.insert(host.variable, origin);
                }
            }
            for relay in provider.relays() {
                if let Some(target) = self.other_relay(relay)? {
                    relays.insert(relay.variable, target);
                }
            }
        }
        // One that cannot be read stops every command that asks a provider.
        self.environment.settle()?;
        let roots = match self.environment.path("KEYCTL_CA_FILE") {
            None => Vec::new(),
            Some(path) => vec![read_roots(&path)?],
        };
        self.say_overrides(origins.keys().chain(relays.keys()).copied());
        Ok(Network {
            client: http::Client::new(http::Settings {
                overrides: origins,
                extra_roots: roots.clone(),
                proxy: PROXY_VARIABLES
                    .iter()
                    .find(|it| self.environment.get(it).is_some())
                    .map(|it| (*it).to_owned()),
                now: self.now(),
            }),
            speaker: smtp::Speaker::new(smtp::Settings { overrides: relays, extra_roots: roots }),
        })
    }
}

/// Returns how long a change of the inventory waits for another process: ten
/// seconds, or less if `--timeout` says so.
fn lock_limit(options: &Options) -> std::time::Duration {
    let most = std::time::Duration::from_secs(10);
    options.timeout.map_or(most, |it| it.std().min(most))
}

fn read_roots(path: &Path) -> Result<Vec<u8>, Situation> {
    let unusable = |why: String| {
        Situation::usage(format!("KEYCTL_CA_FILE: {why}"))
            .hint("name a file with `-----BEGIN CERTIFICATE-----` blocks, or unset it")
    };
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| unusable(format!("cannot read `{shown}`: {error}")))?;
    match http::holds_certificate(&bytes) {
        true => Ok(bytes),
        false => Err(unusable(format!("`{shown}` holds no PEM certificate"))),
    }
}

/// Returns where the inventory is when no flag says so.
///
/// # Errors
/// When there is no home folder.
pub fn inventory_path(environment: &Environment) -> anyhow::Result<PathBuf> {
    match environment.path("KEYCTL_INVENTORY") {
        Some(path) => Ok(path),
        None => Ok(Folders::find()?.inventory()),
    }
}

impl Folders {
    fn inventory(&self) -> PathBuf {
        self.config.join("keyctl.toml")
    }

    fn find() -> anyhow::Result<Self> {
        let base = etcetera::choose_base_strategy().map_err(|_| {
            Situation::usage("there is no home folder").hint("set HOME, or XDG_CONFIG_HOME and its siblings")
        })?;
        let data = base.data_dir().join("keyctl");
        Ok(Self {
            config: base.config_dir().join("keyctl"),
            state: base.state_dir().map_or_else(|| data.join("state"), |it| it.join("keyctl")),
            data,
        })
    }
}
