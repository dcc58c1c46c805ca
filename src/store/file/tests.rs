//! The `file` store against a folder of its own per test.

use std::sync::Arc;

use super::*;
use crate::key::RecordId;

struct Home {
    folder: tempfile::TempDir,
    surroundings: Surroundings,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let surroundings = Surroundings {
            data_dir: folder.path().join("data"),
            config_dir: folder.path().join("config"),
            ..Surroundings::default()
        };
        Self { folder, surroundings }
    }

    fn initialised() -> Self {
        let home = Self::new();
        init(&home.surroundings, "jan", None).unwrap();
        home
    }

    fn store(&self) -> FileStore {
        FileStore::new(&self.surroundings)
    }

    fn problem(&self) -> (StoreProblem, String) {
        let error = self.store().check_readable().unwrap_err();
        (error.problem, format!("{} / {}", error.message, error.remedy.unwrap_or_default()))
    }
}

fn item(version: u32) -> Item {
    Item { id: RecordId::parse("kabc").unwrap(), version, key: "mailgun@acme".parse().unwrap() }
}

fn secret() -> Secret {
    Secret::new(["key-", &"a1".repeat(16)].concat())
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).unwrap().mode() & 0o777
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_is_missing_is_told_apart() {
    let home = Home::new();
    let (problem, text) = home.problem();
    assert_eq!(problem, StoreProblem::NotInitialised);
    assert!(text.contains("no store file") && text.contains("keyctl store init file"), "{text}");

    let home = Home::initialised();
    std::fs::remove_file(identity_path(&home.surroundings)).unwrap();
    let (problem, text) = home.problem();
    assert_eq!(problem, StoreProblem::NotInitialised);
    assert!(text.contains("no age identity") && text.contains("KEYCTL_IDENTITY_FILE"), "{text}");

    let home = Home::initialised();
    let list = recipients::path(&path(&home.surroundings));
    std::fs::remove_file(&list).unwrap();
    let error = home.store().put(&item(1), &secret()).unwrap_err();
    assert_eq!(error.problem, StoreProblem::NotInitialised);
    assert!(error.message.contains("secrets.age.recipients"), "{}", error.message);
}

#[test]
fn what_does_not_open_is_told_apart() {
    let home = Home::initialised();
    let file = path(&home.surroundings);
    let whole = std::fs::read(&file).unwrap();

    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(home.problem().0, StoreProblem::Damaged);
    let mut bent = whole.clone();
    let at = bent.len() - 60;
    bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
    std::fs::write(&file, &bent).unwrap();
    assert_eq!(home.problem().0, StoreProblem::Damaged);
    std::fs::write(&file, "{}").unwrap();
    let (problem, text) = home.problem();
    assert_eq!(problem, StoreProblem::Unreadable);
    assert!(text.contains("not an age file"), "{text}");

    std::fs::write(&file, &whole).unwrap();
    let other = Home::initialised();
    std::fs::copy(identity_path(&other.surroundings), identity_path(&home.surroundings)).unwrap();
    let (problem, text) = home.problem();
    assert_eq!(problem, StoreProblem::WrongIdentity);
    assert!(text.contains("these do: jan") && text.contains("keyctl store recipient add age1"), "{text}");
}

#[test]
fn a_file_of_a_newer_program_and_a_foreign_one_are_left_alone() {
    let home = Home::initialised();
    let keys = home.store().keys().unwrap();
    let file = path(&home.surroundings);
    for (plain, says) in [("{\"version\":2}", "newer"), ("{\"version\":1}", "something else")] {
        let to = keys.identities[0].to_public();
        let sealed = content::encrypt(plain.as_bytes(), std::iter::once(&to as &dyn age::Recipient));
        std::fs::write(&file, sealed.unwrap()).unwrap();
        let (problem, text) = home.problem();
        assert_eq!(problem, StoreProblem::Unreadable);
        assert!(text.contains(says), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn an_identity_that_others_can_read_is_refused() {
    let home = Home::initialised();
    let identity = identity_path(&home.surroundings);
    assert_eq!(mode(&identity), 0o600);
    for open in [0o644, 0o640, 0o602] {
        set_mode(&identity, open);
        let (problem, text) = home.problem();
        assert_eq!(problem, StoreProblem::Unreadable);
        assert!(text.contains("chmod 600"), "{text}");
    }
    set_mode(&identity, 0o400);
    home.store().check_readable().unwrap();
}

#[test]
fn the_identity_may_come_by_value() {
    let mut home = Home::initialised();
    home.store().put(&item(1), &secret()).unwrap();
    let file = identity_path(&home.surroundings);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    home.surroundings.identity = Some(Secret::new(text));
    assert_eq!(home.store().get(&item(1)).unwrap().unwrap().expose(), secret().expose());
    home.surroundings.identity = Some(Secret::new(["AGE-SECRET", "-KEY-1", "QQQ"].concat()));
    let (problem, text) = home.problem();
    assert_eq!(problem, StoreProblem::Unreadable);
    assert!(text.contains("line 1 of `KEYCTL_IDENTITY`") && !text.contains("QQQ"), "{text}");
}

#[test]
fn a_passphrase_protects_the_identity() {
    let mut home = Home::new();
    let right = ["correct", "horse"].join(" ");
    init(&home.surroundings, "jan", Some(&Secret::new(right.clone()))).unwrap();
    let text = std::fs::read_to_string(identity_path(&home.surroundings)).unwrap();
    assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));
    assert!(home.store().describe().location.ends_with("and its passphrase"));
    let (problem, text) = home.problem();
    assert_eq!(problem, StoreProblem::Locked);
    assert!(text.contains("KEYCTL_PASSPHRASE_FILE"), "{text}");

    let file = home.folder.path().join("passphrase");
    std::fs::write(&file, format!("{right}\n")).unwrap();
    home.surroundings.passphrase_file = Some(file.clone());
    home.store().put(&item(1), &secret()).unwrap();
    std::fs::write(&file, "wrong").unwrap();
    assert_eq!(home.problem().0, StoreProblem::Locked);

    home.surroundings.passphrase_file = None;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    home.surroundings.ask = Some(Arc::new(move |prompt: &str| {
        let mut log = log.lock().unwrap();
        log.push(prompt.to_owned());
        Some(Secret::new(if log.len() == 1 { "wrong".to_owned() } else { right.clone() }))
    }));
    let store = home.store();
    assert!(store.get(&item(1)).unwrap().is_some());
    assert!(store.delete(&item(1)).unwrap());
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[1].starts_with("Wrong passphrase."), "{asked:?}");
}

#[test]
fn nobody_waits_for_a_lock_while_a_passphrase_is_typed() {
    let mut home = Home::new();
    let right = ["correct", "horse"].join(" ");
    init(&home.surroundings, "jan", Some(&Secret::new(right.clone()))).unwrap();
    let (file, asked) = (path(&home.surroundings), Arc::new(Mutex::new(0)));
    let (data, count) = (file.clone(), Arc::clone(&asked));
    home.surroundings.ask = Some(Arc::new(move |_: &str| {
        *count.lock().unwrap() += 1;
        // A thread of its own: to a lock it is another process.
        let free = |data: PathBuf| Lock::acquire(&data, std::time::Duration::ZERO).is_ok();
        let data = data.clone();
        assert!(std::thread::spawn(move || free(data)).join().unwrap(), "the lock is held");
        Some(Secret::new(right.clone()))
    }));
    home.store().check_writable().unwrap();
    home.store().put(&item(1), &secret()).unwrap();
    home.store().delete(&item(1)).unwrap();
    let eva = Home::initialised().store().keys().unwrap().recipients().remove(0);
    add_recipient(&home.surroundings, &check_recipient("eva", &eva).unwrap()).unwrap();
    std::fs::remove_file(&file).unwrap();
    init(&home.surroundings, "jan", None).unwrap();
    assert_eq!(*asked.lock().unwrap(), 5);
}

#[test]
fn a_store_that_another_program_changed_meanwhile_is_not_overwritten() {
    let home = Home::initialised();
    let store = home.store();
    let theirs = std::fs::read(path(&Home::initialised().surroundings)).unwrap();
    let error = store
        .change("store-put", |_| {
            std::fs::write(&store.path, &theirs).unwrap();
            Ok((Change::Write, ()))
        })
        .unwrap_err();
    assert!(error.message.contains("another program changed"), "{}", error.message);
    assert_eq!(std::fs::read(&store.path).unwrap(), theirs);
}

#[test]
fn init_never_replaces_and_can_be_run_again() {
    let home = Home::initialised();
    let file = path(&home.surroundings);
    let before = std::fs::read(&file).unwrap();
    let refused = init(&home.surroundings, "jan", None).unwrap_err();
    assert!(refused.message.contains("already"), "{}", refused.message);
    assert_eq!(std::fs::read(&file).unwrap(), before);

    // As after a crash between the identity and the store file.
    std::fs::remove_file(&file).unwrap();
    let created = init(&home.surroundings, "jan", None).unwrap();
    assert!(!created.new_identity);
    assert_eq!(list_recipients(&home.surroundings).unwrap().len(), 1);
}

#[cfg(unix)]
#[test]
fn files_are_private_and_links_are_kept() {
    let home = Home::initialised();
    let file = path(&home.surroundings);
    let real = home.folder.path().join("shared.age");
    std::fs::rename(&file, &real).unwrap();
    std::fs::rename(recipients::path(&file), recipients::path(&real)).unwrap();
    std::os::unix::fs::symlink(&real, &file).unwrap();
    home.store().put(&item(1), &secret()).unwrap();
    assert!(std::fs::symlink_metadata(&file).unwrap().is_symlink());
    assert_eq!(mode(&real), 0o600);
    assert_eq!(mode(&home.surroundings.data_dir), 0o700);
    let plain = std::fs::read(&real).unwrap();
    assert!(content::is_age(&plain));
    let left: Vec<_> =
        std::fs::read_dir(home.folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(!left.iter().any(|it| it.to_string_lossy().ends_with(".tmp")), "{left:?}");
}

#[test]
fn two_writers_lose_nothing() {
    let home = Home::initialised();
    let stores: Vec<FileStore> = (0..4).map(|_| home.store()).collect();
    std::thread::scope(|scope| {
        for (at, store) in stores.iter().enumerate() {
            scope.spawn(move || {
                for n in 0..5 {
                    store.put(&item(u32::try_from(at * 5 + n).unwrap()), &secret()).unwrap();
                }
            });
        }
    });
    let store = home.store();
    for n in 0..20 {
        assert!(store.get(&item(n)).unwrap().is_some(), "{n}");
    }
}

#[test]
fn recipients_come_and_go() {
    let home = Home::initialised();
    home.store().put(&item(1), &secret()).unwrap();
    let colleague = Home::initialised();
    let key = colleague.store().keys().unwrap().recipients().remove(0);
    let eva = check_recipient(" eva (CI) ", &key).unwrap();
    add_recipient(&home.surroundings, &eva).unwrap();
    let names: Vec<String> =
        list_recipients(&home.surroundings).unwrap().into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["jan", "eva (CI)"]);
    assert!(matches!(add_recipient(&home.surroundings, &eva), Err(RecipientError::KeyTaken(_))));

    let hers = Surroundings { store_file: Some(path(&home.surroundings)), ..colleague.surroundings.clone() };
    let store = FileStore::new(&hers);
    assert!(store.get(&item(1)).unwrap().is_some());
    store.put(&item(2), &secret()).unwrap();
    assert!(home.store().get(&item(2)).unwrap().is_some(), "her write reaches every recipient");

    assert!(matches!(remove_recipient(&home.surroundings, "jan"), Err(RecipientError::Own(_))));
    assert!(matches!(remove_recipient(&home.surroundings, "bo"), Err(RecipientError::NoSuch(_))));
    let removed = remove_recipient(&home.surroundings, "eva (CI)").unwrap();
    assert_eq!((removed.recipient, removed.known_secrets), (eva, 2));
    let shut_out = FileStore::new(&hers).check_readable().unwrap_err();
    assert_eq!(shut_out.problem, StoreProblem::WrongIdentity);
    assert!(matches!(remove_recipient(&home.surroundings, "jan"), Err(RecipientError::Last(_))));
}

#[test]
fn a_recipient_is_checked_before_it_is_used() {
    let identity = ["AGE-SECRET", "-KEY-1", "ABC"].concat();
    assert!(matches!(check_recipient("x", &identity), Err(RecipientError::Identity)));
    assert!(matches!(check_recipient("x", "age1nope"), Err(RecipientError::NotARecipient(_))));
    let home = Home::initialised();
    let key = home.store().keys().unwrap().recipients().remove(0);
    for name in ["", " ", "a\nb", &"n".repeat(81)] {
        assert!(matches!(check_recipient(name, &key), Err(RecipientError::Name)), "{name:?}");
    }
}

#[test]
fn a_bad_line_in_the_list_stops_a_write() {
    let home = Home::initialised();
    let list = recipients::path(&path(&home.surroundings));
    let text = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, format!("{text}<<<<<<< ours\n")).unwrap();
    let error = home.store().put(&item(1), &secret()).unwrap_err();
    assert_eq!(error.problem, StoreProblem::Damaged);
    assert!(error.message.contains("line 6 "), "{}", error.message);
}
