//! A loopback stand-in for the vendors `keyctl` talks to: one process with one
//! HTTP listener per vendor host, one SMTP relay per region, a DNS server, and
//! a control API by which tests and demonstrations make accounts, keys, faults
//! and read back what was asked. It shares no code with `keyctl`: both sides
//! were written from the vendors' documents, so that one checks the other.
//!
//! `args` command line · `vendors` the table · `contract` what their documents allow · `world` the state · `http`,
//! `smtp`, `dns`, `tls` the servers · `control` the control API · `faults` what
//! goes wrong · `record` what happened · one module per vendor

mod args;
mod brevo;
mod call;
mod chance;
mod contract;
mod control;
mod dns;
mod faults;
mod form;
mod highlevel;
mod http;
mod klaviyo;
mod mailgun;
mod moment;
mod record;
mod smtp;
mod tls;
mod vendors;
mod world;
mod zone;

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use args::Args;
use smtp::Tls;
use world::{Shared, World};

/// Names and values as the environment of a client needs them.
type Exports = Vec<(String, String)>;

fn main() -> ExitCode {
    let parsed = match Args::parse(std::env::args_os().skip(1)) {
        Ok(parsed) => parsed,
        Err(error) => return complain(&error, 2),
    };
    let Some(args) = parsed else {
        let _ = write!(std::io::stdout(), "{}", args::USAGE);
        return ExitCode::SUCCESS;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ran = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run(args)));
    match ran {
        Ok(code) => ExitCode::from(code),
        Err(error) => complain(&error, 1),
    }
}

fn complain(error: &anyhow::Error, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "sandbox: {error:#}");
    ExitCode::from(code)
}

async fn run(args: Args) -> anyhow::Result<u8> {
    // Another provider may be installed already only if this ran twice.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::Builder::new().prefix("keyctl-sandbox-").tempdir()?;
    let mut world = World::new();
    let seeds = if args.seed_demo { vendors::SEEDS } else { &[] };
    let demo: Exports = seeds.iter().flat_map(|seed| seed(&mut world)).collect();
    let shared = Shared::new(world);
    let mut exports = listen(&args, &shared, folder.path()).await?;
    exports.extend(demo);

    let lines: String = exports.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
    if let Some(path) = &args.write_env {
        std::fs::write(path, &lines).with_context(|| format!("cannot write {}", path.display()))?;
    }
    match args.run {
        Some((command, arguments)) => {
            let mut child = Command::new(&command);
            child.args(arguments).envs(exports);
            let (send, ended) = oneshot::channel();
            std::thread::spawn(move || send.send(child.status()));
            let status = ended.await?.with_context(|| format!("cannot run {}", command.display()))?;
            Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        None => {
            let mut stdout = std::io::stdout().lock();
            writeln!(stdout, "{lines}# ready")?;
            stdout.flush()?;
            drop(stdout);
            wait_for_the_end(args.until_eof).await?;
            Ok(0)
        }
    }
}

/// Opens every listener and returns what a client has to know of them.
async fn listen(args: &Args, shared: &Shared, folder: &std::path::Path) -> anyhow::Result<Exports> {
    let authority = tls::make().context("cannot make a certificate")?;
    let bundle = folder.join("ca.pem");
    std::fs::write(&bundle, &authority.pem)?;
    let mut exports = Exports::new();

    for api in vendors::APIS {
        let (listener, address) = bind().await?;
        let tls = args.tls.then(|| authority.acceptor.clone());
        let scheme = if args.tls { "https" } else { "http" };
        tokio::spawn(http::serve(listener, api.host, shared.clone(), tls, args.latency));
        exports.push((api.variable.to_owned(), format!("{scheme}://{address}")));
    }
    for smtp in vendors::RELAYS {
        for (variable, tls) in [(smtp.variable, Tls::Starttls), (smtp.implicit_variable, Tls::Implicit)] {
            let (listener, address) = bind().await?;
            tokio::spawn(smtp::serve(listener, smtp.relay, shared.clone(), authority.acceptor.clone(), tls));
            exports.push((variable.to_owned(), address.to_string()));
        }
    }
    let (udp, tcp) = dns::bind().await?;
    exports.push(("KEYCTL_DNS".to_owned(), udp.local_addr()?.to_string()));
    tokio::spawn(dns::serve(udp, tcp, shared.clone()));
    let (listener, address) = bind().await?;
    tokio::spawn(http::serve(listener, control::HOST, shared.clone(), None, std::time::Duration::ZERO));
    exports.push(("KEYCTL_CA_FILE".to_owned(), bundle.display().to_string()));
    exports.push(("SANDBOX_CONTROL_URL".to_owned(), format!("http://{address}")));
    Ok(exports)
}

async fn bind() -> anyhow::Result<(TcpListener, std::net::SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on 127.0.0.1")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Waits for ctrl-c or SIGTERM and, if asked to, for the end of the input.
async fn wait_for_the_end(until_eof: bool) -> anyhow::Result<()> {
    let (send, input_ended) = oneshot::channel();
    if until_eof {
        std::thread::spawn(move || {
            let mut rest = [0u8; 256];
            let mut stdin = std::io::stdin();
            while matches!(stdin.read(&mut rest), Ok(read) if read > 0) {}
            let _ = send.send(());
        });
    } else {
        std::mem::forget(send);
    }
    #[cfg(unix)]
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    #[cfg(unix)]
    let terminated = terminated.recv();
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
        _ = input_ended => {}
    }
    Ok(())
}
