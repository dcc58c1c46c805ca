//! A real mail server for one test: Postfix whose logins are checked by
//! Dovecot, both with configurations of their own in a temporary folder, on
//! ports of loopback. Nothing of the machine's own mail is touched.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::server::Tls;

/// A running mail server.
pub struct Postfix {
    folder: tempfile::TempDir,
    dovecot: Child,
    postfix: Child,
    pub tls: Tls,
    /// STARTTLS is offered here.
    pub starttls: String,
    /// Only plain text is spoken here, and AUTH is offered in it.
    pub plain: String,
    /// TLS begins with the first byte here. The program does that on port 465
    /// only, so this is an address of loopback that nothing else listens on.
    pub implicit: String,
}

/// What Postfix notes when a port is not free.
const TAKEN: &str = "Address already in use";

impl Postfix {
    /// Starts it with these logins and passwords; `None` (said, or a panic
    /// where the checks require it) when it cannot run here.
    pub fn start(accounts: &[(&str, &str)]) -> Option<Self> {
        if let Some(why) = missing() {
            super::skip(&why);
            return None;
        }
        if owner("self") != Some(0) {
            // Postfix changes to its own user; what is installed is not the matter.
            println!("skipped: Postfix can only be started by root");
            return None;
        }
        // A port that was free may be taken by another test meanwhile.
        for _ in 0..5 {
            match Self::once(accounts) {
                Ok(server) => return Some(server),
                Err(said) => assert!(said.contains(TAKEN), "the mail server did not start:\n{said}"),
            }
        }
        panic!("no port stays free for the mail server")
    }

    fn once(accounts: &[(&str, &str)]) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let address = unused_address();
        let tls = Tls::naming(&["127.0.0.1", &address]);
        let (starttls, plain, implicit) = (free(), free(), format!("{address}:465"));
        write(folder.path(), accounts, &tls, [&starttls, &plain, &implicit]);
        let dovecot = Command::new("/usr/sbin/dovecot")
            .args(["-F", "-c"])
            .arg(folder.path().join("dovecot.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut postfix = command(folder.path());
        postfix.arg("start-fg").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let postfix = postfix.spawn().unwrap();
        let mut server = Self { folder, dovecot, postfix, tls, starttls, plain, implicit };
        server.wait()?;
        Ok(server)
    }

    /// Returns the folder, for a file beside the server's.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns what the server noted at the end of each conversation so far:
    /// `ehlo=2 starttls=1 auth=1 quit=1 commands=5`.
    pub fn conversations(&self, count: usize) -> Vec<String> {
        let ended = |log: &str| -> Vec<String> {
            let line = |it: &str| it.split_once(": disconnect from ").map(|(_, rest)| rest.to_owned());
            let words = |it: String| it.split_once(' ').map(|(_, rest)| rest.to_owned());
            log.lines().filter_map(line).filter_map(words).collect()
        };
        until(|| Some(ended(&self.log())).filter(|it| it.len() >= count))
            .unwrap_or_else(|| panic!("no {count} conversations: {}", self.log()))
    }

    /// Returns the text of the only mail that was delivered.
    pub fn mail(&self) -> String {
        let inbox = self.path().join("mail/inbox/new");
        let found = until(|| std::fs::read_dir(&inbox).ok()?.next()?.ok());
        let path = found.unwrap_or_else(|| panic!("no mail: {}", self.log())).path();
        std::fs::read_to_string(path).unwrap()
    }

    /// Returns whether any mail was delivered.
    pub fn has_mail(&self) -> bool {
        self.path().join("mail/inbox").exists()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("queue/maillog")).unwrap_or_default()
    }

    /// Waits until all ports answer and Dovecot takes logins.
    fn wait(&mut self) -> Result<(), String> {
        let socket = self.path().join("queue/private/auth");
        let ports = [self.starttls.clone(), self.plain.clone(), self.implicit.clone()];
        let open = |it: &String| TcpStream::connect(it).is_ok();
        let ready = until(|| match self.log().contains(TAKEN) {
            true => Some(false),
            false => (socket.exists() && ports.iter().all(open)).then_some(true),
        });
        let said = std::fs::read_to_string(self.path().join("dovecot.log")).unwrap_or_default();
        if ready != Some(true) {
            return Err(format!("{}\n{said}", self.log()));
        }
        // Each of these connections is a conversation of its own in the log.
        self.conversations(ports.len());
        std::fs::write(self.path().join("queue/maillog"), "").unwrap();
        Ok(())
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let _ = command(self.folder.path()).arg("stop").stderr(Stdio::null()).status();
        let stop = ["-c", "dovecot.conf", "stop"];
        let _ = Command::new("/usr/bin/doveadm").args(stop).current_dir(self.folder.path()).status();
        for child in [&mut self.postfix, &mut self.dovecot] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns why it cannot run here.
fn missing() -> Option<String> {
    let programs = ["/usr/sbin/postfix", "/usr/sbin/dovecot", "/usr/bin/doveadm"];
    let missing = programs.into_iter().find(|it| !Path::new(it).exists())?;
    Some(format!("{missing} is not installed"))
}

fn owner(process: &str) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Some(std::fs::metadata(format!("/proc/{process}")).ok()?.uid())
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new("/usr/sbin/postfix");
    command.arg("-c").arg(folder.join("etc")).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Returns an address that no other server of this or another run has.
fn unused_address() -> String {
    static SERVERS: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    format!("127.{}.{high}.{low}", 100 + SERVERS.fetch_add(1, Ordering::Relaxed) % 100)
}

fn until<T>(mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(value) = found() {
            return Some(value);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the user and group of a name in the system's files.
fn account(name: &str) -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|it| it.starts_with(&format!("{name}:"))).unwrap();
    let fields: Vec<&str> = line.split(':').collect();
    (fields[2].parse().unwrap(), fields[3].parse().unwrap())
}

fn write(folder: &Path, accounts: &[(&str, &str)], tls: &Tls, [starttls, plain, implicit]: [&str; 3]) {
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    mode(folder, 0o711);
    let (user, group) = account("postfix");
    for name in ["etc", "queue", "data", "mail"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    for name in ["data", "mail"] {
        std::os::unix::fs::chown(folder.join(name), Some(user), Some(group)).unwrap();
    }
    file("certificate.pem", &tls.certificate);
    mode(&file("key.pem", &tls.key), 0o600);
    let place = folder.to_str().unwrap();
    file("etc/main.cf", &MAIN.replace("FOLDER", place).replace("USER", &user.to_string()));
    let master = MASTER.replace("STARTTLS", starttls).replace("PLAIN", plain).replace("IMPLICIT", implicit);
    file("etc/master.cf", &master);
    file("dovecot.conf", &DOVECOT.replace("FOLDER", place));
    let users: String = accounts.iter().map(|(login, password)| format!("{login}:{password}\n")).collect();
    file("users", &users);
    // The queue's folders, before Dovecot puts its socket there.
    let checked = command(folder).arg("check").output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

const MAIN: &str = "\
compatibility_level = 3.6
queue_directory = FOLDER/queue
data_directory = FOLDER/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = FOLDER/queue/maillog
maillog_file_prefixes = FOLDER
myhostname = relay.example
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_peername_lookup = no
smtpd_tls_cert_file = FOLDER/certificate.pem
smtpd_tls_key_file = FOLDER/key.pem
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_error_sleep_time = 0
virtual_mailbox_domains = there.example
virtual_mailbox_base = FOLDER/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:USER
virtual_gid_maps = static:USER
default_transport = error:this server sends nothing out
";

const MASTER: &str = "\
STARTTLS inet n - n - - smtpd
PLAIN inet n - n - - smtpd
  -o smtpd_tls_security_level=none
  -o smtpd_tls_auth_only=no
IMPLICIT inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
";

/// The penalty of Dovecot's would slow a second wrong password down.
const DOVECOT: &str = "\
base_dir = FOLDER/run
log_path = FOLDER/dovecot.log
protocols =
ssl = no
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u FOLDER/users
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  unix_listener FOLDER/queue/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
";
