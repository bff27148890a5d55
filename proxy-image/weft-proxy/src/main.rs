//! The proxy's binary: `weft-proxy run | init | validate | await | drain`, and on a node `cni-install | cni-ready`; called `weft-cni`, it is the CNI plugin.
//!
//! The composition root: the only reader of arguments, environment and signals. Boot reads top to bottom in `run`.

mod application;
mod cni;
mod fixed;
mod gauges;
mod logging;
mod run;

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use weft_proxy_core::config::Config;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One arena for one thread; a thread of jemalloc's own gives memory back a second after a burst.
#[allow(unsafe_code, reason = "names the symbol that jemalloc reads its options from; nothing is executed")]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: &[u8; 53] = b"narenas:1,background_thread:true,dirty_decay_ms:1000\0";

const USAGE: &str = "usage: weft-proxy run | init [flags] | validate [flags] | await [address:port [seconds]] | drain | cni | cni-install [--keep] | cni-ready";
/// Rules that a CNI plugin writes are there before anything of the pod runs; what is slow is the machine.
const VALIDATE: Duration = Duration::from_secs(10);
/// Time for the answer of a proxy whose own deadline has come.
const DRAIN_MORE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    // Container runtimes call a plugin without arguments, by the name of its file.
    let applet = match Path::new(&program).file_name() {
        Some(name) if name == weft_init::cni::PLUGIN => "cni".to_owned(),
        _ => arguments.next().unwrap_or_else(|| "run".to_owned()),
    };
    if applet == "cni" {
        return cni::plugin();
    }
    let result = match applet.as_str() {
        "run" => run::run(),
        "init" => init(arguments),
        "validate" => validate(arguments),
        "await" => wait(arguments),
        "drain" => drain(arguments),
        "cni-install" => cni::install(arguments),
        "cni-ready" => cni::ready(arguments),
        _ => Err(anyhow::anyhow!("unknown applet {applet:?}; {USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weft-proxy {applet}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the pod's redirect rules.
fn init(arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let options = weft_init::Options::parse(arguments)?;
    let applied = weft_init::apply(&options)?;
    for (chain, rules) in applied.chains {
        println!("chain {chain}: {rules} rules");
    }
    if applied.ipv6_dropped {
        println!("inbound IPv6 TCP is dropped");
    }
    Ok(())
}

/// Sees that the rules are there which `init` with the same flags would have written.
fn validate(arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let options = weft_init::Options::parse(arguments)?;
    let node = std::env::var("WEFT_NODE_NAME").unwrap_or_else(|_| "(unknown)".to_owned());
    for seen in weft_init::validate(&options, VALIDATE, &node)? {
        println!("{seen}");
    }
    Ok(())
}

/// Waits until the proxy of this pod is ready.
fn wait(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:4191".to_owned());
    let seconds = arguments.next().unwrap_or_else(|| "120".to_owned());
    if arguments.next().is_some() {
        bail!(USAGE);
    }
    let address = address.parse().with_context(|| format!("{address:?} is no address:port"))?;
    let seconds = seconds.parse().with_context(|| format!("{seconds:?} is no whole number of seconds"))?;
    Ok(weft_init::await_ready(address, Duration::from_secs(seconds))?)
}

/// Drains the proxy of this pod and waits until that is done: the container's preStop hook.
fn drain(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    if arguments.next().is_some() {
        bail!(USAGE);
    }
    let config = Config::from_env()?;
    let port = config.admin.first().context("WEFT_ADMIN_LISTEN names no address")?.port();
    let said = weft_init::drain((Ipv4Addr::LOCALHOST, port).into(), config.drain + DRAIN_MORE)?;
    println!("{said}");
    Ok(())
}
