//! Requests at a fixed rate whatever the answers do. Latency counts from the moment that a request was due, so a stall is felt by every request
//! that it delays and not by one alone. A thread for each connection: tokio's timers are a thousand times too coarse.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::AnyError;
use crate::http1;
use crate::latency::Latencies;

const PATIENCE: Duration = Duration::from_secs(5);

pub fn run(address: &str, path: &str, connections: u32, per_second: u32, seconds: Duration) -> Result<(), AnyError> {
    // The kernel may delay a wake-up by this much; threads inherit it. 50 us by default.
    fs::write("/proc/self/timerslack_ns", "1000")?;
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        streams.push(stream);
    }
    let between = Duration::from_secs(1) / per_second;
    let started = Instant::now() + Duration::from_millis(5);
    let request = http1::request(path);
    let mut all = Latencies::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .zip(streams)
            .map(|(index, stream)| {
                let request = &request;
                let schedule = Schedule { first: started + between * index, every: between * connections };
                scope.spawn(move || one(stream, request, schedule, started + seconds))
            })
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(one) => all.merge(&one),
                Err(_) => all.errors += 1,
            }
        }
    });
    all.report(started.elapsed());
    Ok(())
}

struct Schedule {
    first: Instant,
    every: Duration,
}

fn one(mut stream: TcpStream, request: &[u8], schedule: Schedule, end: Instant) -> Latencies {
    let mut latencies = Latencies::default();
    let mut due = schedule.first;
    let mut bytes = vec![0; 256 * 1024];
    while due < end {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        match exchange(&mut stream, request, &mut bytes) {
            Some(200) => latencies.record(due.elapsed()),
            Some(_) => latencies.errors += 1,
            None => {
                latencies.errors += 1;
                return latencies;
            }
        }
        due += schedule.every;
    }
    latencies
}

/// The status; None when there is no answer.
fn exchange(stream: &mut TcpStream, request: &[u8], bytes: &mut [u8]) -> Option<u16> {
    stream.write_all(request).ok()?;
    let mut held = 0;
    loop {
        let count = stream.read(bytes.get_mut(held..)?).ok().filter(|count| *count > 0)?;
        held += count;
        if let Some((status, length)) = http1::response(&bytes[..held]) {
            return (length == held).then_some(status);
        }
    }
}
