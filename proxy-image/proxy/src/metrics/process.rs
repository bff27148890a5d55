//! What the process costs, read from `/proc` at each scrape, under the names that every Prometheus client library uses.

use std::fs;

use super::scalar::Descriptor;
use super::{LabelBuilder, Metrics, Sampler, SeriesLabels};

/// `USER_HZ`, which Linux fixes at 100 towards user space on every architecture this proxy is built for.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: u64 = 4096;

static CPU: Descriptor =
    Descriptor::counter("process_cpu_seconds_total", "User and system CPU time spent, in seconds.");
static RESIDENT: Descriptor = Descriptor::gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
static VIRTUAL: Descriptor = Descriptor::gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.");
static OPEN_FDS: Descriptor = Descriptor::gauge("process_open_fds", "Open file descriptors.");
static MAX_FDS: Descriptor = Descriptor::gauge("process_max_fds", "Limit of open file descriptors.");
static THREADS: Descriptor = Descriptor::gauge("process_threads", "Threads of the process.");
static START: Descriptor = Descriptor::gauge("process_start_time_seconds", "Start of the process in Unix seconds.");
static BUILD: Descriptor = Descriptor::gauge("proxy_build_info", "Constant 1, labelled with the build.");

/// What was built.
#[derive(Clone, Copy, Debug)]
pub struct BuildInfo {
    /// Released version.
    pub version: &'static str,
    /// Revision of the sources; may be empty.
    pub git_sha: &'static str,
    /// `release` or another cargo profile.
    pub profile: &'static str,
}

/// A reading of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessMetrics {
    /// User and system time.
    pub cpu_seconds: f64,
    /// Resident set.
    pub resident_bytes: u64,
    /// Address space.
    pub virtual_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Seconds between boot and start.
    pub started_after_boot: f64,
}

impl ProcessMetrics {
    /// Parses `/proc/<pid>/stat` (proc(5)). The command may hold spaces and brackets, so fields count from the last bracket.
    #[must_use]
    pub fn parse(stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        // proc(5) counts from 1 and the state is field 3, so field n is at n - 3 here; nth() consumes what it passes.
        let user: u64 = fields.nth(14 - 3)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        let threads = fields.nth(20 - 16)?.parse().ok()?;
        let start: u64 = fields.nth(22 - 21)?.parse().ok()?;
        let virtual_bytes = fields.next()?.parse().ok()?;
        let pages: u64 = fields.next()?.parse().ok()?;
        Some(Self {
            cpu_seconds: ticks(user.saturating_add(system)),
            resident_bytes: pages.saturating_mul(PAGE_BYTES),
            virtual_bytes,
            threads,
            started_after_boot: ticks(start),
        })
    }
}

#[allow(clippy::cast_precision_loss)]
fn ticks(count: u64) -> f64 {
    count as f64 / TICKS_PER_SECOND
}

impl Metrics {
    /// Adds `process_*` and `proxy_build_info` to every scrape.
    pub fn collect_process(&self, build: BuildInfo) {
        let info = LabelBuilder::empty()
            .with("version", build.version)
            .with("git_sha", build.git_sha)
            .with("profile", build.profile)
            .with("vendor", "weft")
            .build();
        let boot = fs::read_to_string("/proc/stat").ok().and_then(|text| boot_time(&text));
        self.collect_from(move |sampler| {
            sampler.sample(&BUILD, &info, 1);
            sample_process(sampler, boot);
        });
    }
}

fn sample_process(sampler: &mut Sampler<'_>, boot: Option<f64>) {
    let none = SeriesLabels::none();
    if let Some(reading) = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| ProcessMetrics::parse(&stat)) {
        sampler.sample(&CPU, &none, reading.cpu_seconds);
        sampler.sample(&RESIDENT, &none, reading.resident_bytes);
        sampler.sample(&VIRTUAL, &none, reading.virtual_bytes);
        sampler.sample(&THREADS, &none, reading.threads);
        if let Some(boot) = boot {
            sampler.sample(&START, &none, boot + reading.started_after_boot);
        }
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        // The directory being read is one descriptor itself.
        sampler.sample(&OPEN_FDS, &none, entries.count().saturating_sub(1));
    }
    if let Some(limit) = fs::read_to_string("/proc/self/limits").ok().and_then(|text| max_fds(&text)) {
        sampler.sample(&MAX_FDS, &none, limit);
    }
}

pub(super) fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

pub(super) fn max_fds(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}
