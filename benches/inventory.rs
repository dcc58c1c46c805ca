//! What the inventory costs per record: reading the file, resolving every
//! scope, changing one field, adding one key. Linear means that the ratio to
//! the size before stays near 1.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a benchmark")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use keyctl::inventory::{Inventory, InventoryFile};
use keyctl::key::{Consumer, Expiry, Fingerprint, KeyRef, Kind, Record, RecordId, Scope};

const SIZES: [usize; 3] = [10, 1_000, 10_000];

fn key(text: &str) -> KeyRef {
    text.parse().unwrap()
}

/// Returns a record with as many fields as one in use has.
fn record(number: usize) -> Record {
    let mut record = Record::new(RecordId::parse(&format!("kbench{number}")).unwrap(), Kind::Account);
    record.current = Some(3);
    record.highest = 3;
    record.fingerprint = Fingerprint::parse(&format!("{number:012x}"));
    record.last2 = Some("a7".to_owned());
    record.created = Some("2026-11-22T08:00:00Z".parse().unwrap());
    record.expires = Expiry::Never;
    record.role = Some("admin".to_owned());
    record.remote_id = Some(format!("{number:032x}-0e0277777"));
    record.note = Some("pasted in the settings of the location".to_owned());
    record.consumers.push(Consumer::manual("HighLevel settings of the location"));
    record
}

/// Returns one agency of `size` keys, five to a location: the worst case of
/// resolving, where nothing is gained by telling agencies apart.
fn inventory(size: usize) -> Inventory {
    let mut inventory = Inventory::default();
    inventory.keys.insert(key("mailgun@acme"), record(0));
    for number in 1..size {
        let location = number / 5;
        inventory.place_mut(&format!("acme/l{location}").parse().unwrap()).name = Some("Location".to_owned());
        inventory.keys.insert(key(&format!("mailgun:n{}@acme/l{location}", number % 5)), record(number));
    }
    inventory
}

struct Subject {
    _folder: tempfile::TempDir,
    file: InventoryFile,
    size: usize,
    scopes: Vec<Scope>,
}

impl Subject {
    fn new(size: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = InventoryFile::at(folder.path().join("keyctl.toml"));
        let wanted = inventory(size);
        let scopes = wanted.scopes().map(|(scope, _)| scope).collect();
        file.update(|inventory| {
            *inventory = wanted;
            Ok(())
        })
        .unwrap();
        Self { _folder: folder, file, size, scopes }
    }

    fn load(&self) -> Inventory {
        self.file.load().unwrap()
    }

    fn resolve(&self, inventory: &Inventory) -> usize {
        self.scopes.iter().map(|scope| inventory.effective(scope).len()).sum()
    }

    /// Changes the note of the key in the middle.
    fn save(&self, round: usize) {
        let change = |inventory: &mut Inventory| {
            let chosen = inventory.keys.keys().nth(self.size / 2).unwrap().clone();
            inventory.keys.get_mut(&chosen).unwrap().note = Some(format!("round {round}"));
            Ok(())
        };
        self.file.update(change).unwrap();
    }
}

fn measure(criterion: &mut Criterion) {
    for size in SIZES {
        let subject = Subject::new(size);
        let mut group = criterion.benchmark_group("inventory");
        group.sample_size(20).throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new("load", size), |it| it.iter(|| black_box(subject.load())));
        let inventory = subject.load();
        group.bench_function(BenchmarkId::new("resolve", size), |it| {
            // A new index each time, as in a new process.
            it.iter(|| black_box(subject.resolve(&rebuilt(&inventory))));
        });
        let mut round = 0;
        group.bench_function(BenchmarkId::new("save", size), |it| {
            it.iter(|| {
                round += 1;
                subject.save(round);
            });
        });
        group.finish();
    }
}

fn rebuilt(inventory: &Inventory) -> Inventory {
    let mut copy = inventory.clone();
    let _ = &mut *copy.keys;
    copy
}

/// Prints what one record costs at each size, and how that grows.
fn ratios() {
    println!("{:<10}{:>10}{:>14}{:>16}{:>10}", "", "records", "total", "per record", "ratio");
    let subjects: Vec<Subject> = SIZES.into_iter().map(Subject::new).collect();
    let row = |what: &str, run: &dyn Fn(&Subject, usize)| {
        let mut before = None;
        for subject in &subjects {
            let total = (0..9).map(|round| timed(|| run(subject, round))).min().unwrap_or_default();
            let each = total.as_nanos() as f64 / subject.size as f64;
            let ratio = before.map_or(String::new(), |before| format!("{:.2}", each / before));
            println!("{what:<10}{:>10}{total:>14.1?}{each:>13.0} ns{ratio:>10}", subject.size);
            before = Some(each);
        }
    };
    row("load", &|subject, _| drop(black_box(subject.load())));
    row("resolve", &|subject, _| {
        black_box(subject.resolve(&subject.load()));
    });
    row("save", &Subject::save);
}

fn timed(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    measure(&mut criterion);
    criterion.final_summary();
    ratios();
}
