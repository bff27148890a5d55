//! The proxy itself, from its environment to its end.

use std::env;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::sleep;
use weft_control::{Control, ControlConfig, ControlSetter, Timeouts, TrustSource};
use weft_proxy_core::config::{Config, ControlEnvironment};
use weft_proxy_core::context::Proxy;
use weft_proxy_core::exchange::Direction;
use weft_proxy_core::metrics::{BuildInfo, Limits, Metrics, Report};
use weft_proxy_core::{admin, buffer, serve};

use crate::{application, fixed, gauges, logging};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Unused series and balancers are looked for this often.
const HOUSEKEEPING: Duration = Duration::from_mins(1);
/// Whoever reads standard output has this long to take the last lines of the access log.
const ACCESS_LOG: Duration = Duration::from_secs(1);

/// Runs until a signal has come and everything has ended, or its time has.
pub fn run() -> anyhow::Result<()> {
    let level = logging::start()?;
    let config = Config::from_env()?;
    let runtime = Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let local = LocalSet::new();
    runtime.block_on(local.run_until(serve_all(config, level)))
}

async fn serve_all(config: Config, level: logging::Level) -> anyhow::Result<()> {
    // Listening comes first: a port that is taken must be seen at once, not after the operator has answered.
    let inbound = serve::bind(&config.inbound).context("inbound listener")?;
    let outbound = serve::bind(&config.outbound).context("outbound listener")?;
    let administration = serve::bind(&config.admin).context("admin listener")?;
    let (control, _setter) = control()?;
    let metrics = Metrics::new(Limits::default());
    metrics.collect_process(BuildInfo { version: VERSION, git_sha: "", profile: profile() });
    let proxy = Proxy::new(config, control, metrics);
    proxy.balancers.collect(&proxy.metrics);
    buffer::collect(&proxy.metrics);
    proxy.carriers.collect(&proxy.metrics);
    gauges::collect(&proxy.control, &proxy.metrics);
    spawn_local(level.follow(proxy.control.workload()));
    for listener in administration {
        spawn_local(admin::serve(Rc::clone(&proxy), listener));
    }
    let doors: Vec<_> = inbound
        .into_iter()
        .map(|listener| spawn_local(serve::accept(Rc::clone(&proxy), listener, Direction::Inbound)))
        .collect();
    for listener in outbound {
        spawn_local(serve::accept(Rc::clone(&proxy), listener, Direction::Outbound));
    }
    spawn_local(housekeeping(Rc::clone(&proxy)));
    spawn_local(tell(Rc::clone(&proxy)));
    tracing::info!(proxy.version = VERSION, "proxy started");
    tokio::select! {
        signal = wait_for_signal() => signal?,
        () = application_ended(&proxy) => tracing::info!("the application has ended"),
    }
    end(&proxy, doors).await;
    Ok(())
}

fn profile() -> &'static str {
    if cfg!(debug_assertions) { "debug" } else { "release" }
}

/// From the operator, or from a file for measurements. The setter must live as long as the proxy.
fn control() -> anyhow::Result<(Control, Option<ControlSetter>)> {
    if let Some(path) = env::var_os("WEFT_STATIC_CONFIG") {
        let (control, setter) = fixed::read(Path::new(&path))?;
        return Ok((control, Some(setter)));
    }
    let environment = ControlEnvironment::from_env()?;
    let control = Control::start(ControlConfig {
        address: environment.address,
        server_name: environment.server_name,
        token_file: environment.token_file,
        trust: TrustSource { pem: environment.anchors, file: Some(environment.anchors_file) },
        proxy_version: VERSION,
        timeouts: Timeouts::default(),
    });
    Ok((control, None))
}

async fn housekeeping(proxy: Rc<Proxy>) {
    let began = Instant::now();
    loop {
        sleep(HOUSEKEEPING).await;
        proxy.metrics.sweep(began.elapsed());
        proxy.sweep();
        proxy.balancers.sweep();
    }
}

/// The operator is told what is counted.
async fn tell(proxy: Rc<Proxy>) {
    match proxy.control.report(Report::new(&proxy.metrics)).await {}
}

/// Only where the proxy is an ordinary container: nobody else would end it, and the pod of a job would never be done.
async fn application_ended(proxy: &Proxy) {
    if proxy.config.outlives {
        return std::future::pending().await;
    }
    let mut workload = proxy.control.workload();
    // The sender lives as long as the control client, and that as long as the proxy.
    let _ = workload.wait_for(|workload| workload.as_ref().is_some_and(|workload| workload.application_ended)).await;
}

async fn wait_for_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Inbound goes on until it is idle, outbound as long as the application may need it; who came last is served; the deadline ends all.
async fn end(proxy: &Proxy, doors: Vec<JoinHandle<()>>) {
    tracing::info!("draining");
    let deadline = Instant::now() + proxy.config.drain;
    let left = || deadline.saturating_duration_since(Instant::now());
    proxy.drain.begin();
    let mut idle = proxy.drain.idle(Direction::Inbound, left()).await;
    if !proxy.config.outlives && !application::gone(left()).await {
        tracing::info!("the application is still there");
    }
    // With a native sidecar the application has gone by now, unless the proxy alone is replaced: then it finishes what it has begun, and new
    // connections are for its successor.
    proxy.drain.leave();
    idle &= proxy.drain.idle(Direction::Outbound, left()).await;
    proxy.drain.shut();
    for door in doors {
        // Fails only if the task has panicked.
        let _ = door.await;
    }
    idle &= proxy.drain.idle(Direction::Inbound, left()).await;
    let (inbound, outbound) = (proxy.drain.active(Direction::Inbound), proxy.drain.active(Direction::Outbound));
    tracing::info!(drained = idle, connections.inbound = inbound, connections.outbound = outbound, "proxy ends");
    proxy.drain.close();
    // What the deadline ended is counted and logged by the tasks it ended, which need a turn for that.
    tokio::task::yield_now().await;
    proxy.access_log.finish(ACCESS_LOG).await;
}
