//! The CNI plugin and its installer, as programs: environment, standard streams, signals.

use std::env;
use std::io::{Write, stdin, stdout};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};
use weft_init::cni::{Invocation, run};
use weft_init::install::Installer;

/// Where the DaemonSet mounts the node's folders.
const PROGRAMS: &str = "/host/cni/bin";
const CONFIGURATIONS: &str = "/host/cni/conf";
/// How long a network configuration that somebody has rewritten may be without our entry.
const LOOK: Duration = Duration::from_secs(1);

/// One call of the container runtime.
pub fn plugin() -> ExitCode {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let invocation = Invocation {
        command: variable("CNI_COMMAND"),
        namespace: variable("CNI_NETNS"),
        arguments: variable("CNI_ARGS"),
    };
    let answer = run(&invocation, stdin().lock());
    // A runtime that does not listen has given this pod up.
    let told = stdout().lock().write_all(answer.output.as_bytes());
    if answer.success && told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Installs the plugin and keeps it installed until a signal comes; then takes it out again, but for `--keep`.
pub fn install(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let keep = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => false,
        (Some("--keep"), None) => true,
        _ => bail!(crate::USAGE),
    };
    let installer = installer(env::var("WEFT_POD_UID").context("WEFT_POD_UID must name this pod")?);
    let runtime = Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(watch(&installer))?;
    if keep {
        println!("the plugin stays");
        return Ok(());
    }
    report(installer.remove()?);
    Ok(())
}

async fn watch(installer: &Installer) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut look: Interval = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut installed = false;
    let mut complaint = String::new();
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = look.tick() => {}
        }
        match if installed { installer.repair() } else { installer.install() } {
            Ok(done) => {
                installed = true;
                complaint.clear();
                report(done);
            }
            // A node whose main plugin is not there yet, or is being replaced: not an end. Said once, not every second.
            Err(error) if error.to_string() != complaint => {
                complaint = error.to_string();
                eprintln!("weft-proxy cni-install: {complaint}");
            }
            Err(_) => {}
        }
    }
}

/// The readiness probe of the installer.
pub fn ready(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    if arguments.next().is_some() {
        bail!(crate::USAGE);
    }
    Ok(installer(String::new()).ready()?)
}

fn installer(owner: String) -> Installer {
    Installer {
        programs: PROGRAMS.into(),
        configurations: CONFIGURATIONS.into(),
        source: "/proc/self/exe".into(),
        owner,
    }
}

fn report(lines: Vec<String>) {
    for line in lines {
        println!("{line}");
    }
}
