//! The situations that tell balancers apart, replayed under a virtual clock against the production code, with round robin as control.

use super::tests::{draw, endpoints};
use super::{Discipline, MS, Outcome, Pool, Tuning};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

const SECOND: u64 = 1_000 * MS;

/// splitmix64: enough for a simulation, and the same on every machine.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> u64 {
        (-(1.0 - self.unit()).ln() * mean) as u64
    }

    /// Near enough to normal: twelve uniforms.
    fn normal(&mut self, mean: f64, deviation: f64) -> u64 {
        let sum: f64 = (0..12).map(|_| self.unit()).sum();
        (mean + (sum - 6.0) * deviation).max(1.0) as u64
    }
}

#[derive(Clone, Copy)]
struct Job {
    client: usize,
    server: usize,
    sent: u64,
}

struct Answer {
    at: u64,
    server: usize,
    latency: u64,
    failed: bool,
}

struct Scenario {
    clients: usize,
    servers: usize,
    /// Requests that one server serves at a time; others queue.
    workers: usize,
    requests_per_second: f64,
    end: u64,
    /// The last server is there from this time on.
    joins: u64,
    /// (server, now) -> (service time, failed)
    serve: fn(usize, u64, &mut Random) -> (u64, bool),
}

#[derive(Clone, Copy, PartialEq)]
enum By {
    RoundRobin,
    Pool,
    /// Without slow start.
    AtOnce,
}

fn run(scenario: &Scenario, by: By, seed: u64) -> Vec<Answer> {
    let mut random = Random(seed);
    let set = endpoints(scenario.servers);
    let tuning = Tuning {
        slow_start_ns: if by == By::AtOnce { 0 } else { Tuning::default().slow_start_ns },
        ..Tuning::default()
    };
    let mut present = if scenario.joins > 0 { scenario.servers - 1 } else { scenario.servers };
    let mut pools: Vec<Pool> = (0..scenario.clients)
        .map(|_| {
            let mut pool = Pool::<()>::new(tuning);
            pool.update(&set[..present], 0);
            pool
        })
        .collect();
    let mut turn = vec![0_usize; scenario.clients];
    let mut busy = vec![0_usize; scenario.servers];
    let mut queues: Vec<VecDeque<Job>> = vec![VecDeque::new(); scenario.servers];
    // (time, sequence, None = arrival | Some(job, failed) = completion)
    let mut events: BinaryHeap<Reverse<(u64, u64)>> = BinaryHeap::new();
    let mut what: Vec<Option<(Job, bool)>> = vec![None];
    events.push(Reverse((0, 0)));
    let mut answers = Vec::new();
    let start = |job: Job, now: u64, what: &mut Vec<Option<(Job, bool)>>, random: &mut Random| {
        let (time, failed) = (scenario.serve)(job.server, now, random);
        what.push(Some((job, failed)));
        Reverse((now + time.max(1), what.len() as u64 - 1))
    };
    while let Some(Reverse((now, id))) = events.pop() {
        if now >= scenario.joins && present < scenario.servers {
            present = scenario.servers;
            pools.iter_mut().for_each(|pool| pool.update(&set, now));
        }
        if let Some((job, failed)) = what[id as usize] {
            let latency = now - job.sent;
            answers.push(Answer { at: job.sent, server: job.server, latency, failed });
            pools[job.client].nodes()[job.server].finish(Outcome { latency_ns: latency, failed }, now);
            busy[job.server] -= 1;
            if let Some(next) = queues[job.server].pop_front() {
                busy[job.server] += 1;
                events.push(start(next, now, &mut what, &mut random));
            }
            continue;
        }
        if now >= scenario.end {
            continue;
        }
        what.push(None);
        let gap = random.exponential(SECOND as f64 / scenario.requests_per_second);
        events.push(Reverse((now + gap, what.len() as u64 - 1)));
        let client = (random.next() % scenario.clients as u64) as usize;
        let server = match by {
            By::RoundRobin => {
                turn[client] += 1;
                (turn[client] + client) % present
            }
            By::Pool | By::AtOnce => {
                let node = pools[client].pick(draw(now, random.next(), Discipline::PeakEwma), |_| false).unwrap();
                set.iter().position(|endpoint| Arc::ptr_eq(endpoint, node.endpoint())).unwrap()
            }
        };
        pools[client].nodes()[server].begin(now);
        let job = Job { client, server, sent: now };
        if busy[server] < scenario.workers {
            busy[server] += 1;
            events.push(start(job, now, &mut what, &mut random));
        } else {
            queues[server].push_back(job);
        }
    }
    answers
}

fn share(answers: &[Answer], bad: impl Fn(&Answer) -> bool) -> f64 {
    answers.iter().filter(|answer| bad(answer)).count() as f64 / answers.len() as f64
}

fn percentile(answers: &[Answer], share: f64) -> f64 {
    let mut latencies: Vec<u64> = answers.iter().map(|answer| answer.latency).collect();
    latencies.sort_unstable();
    latencies[((latencies.len() - 1) as f64 * share) as usize] as f64 / MS as f64
}

const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

/// One of ten turns 2 s slow for the middle half of a minute at 1,000 requests a second.
#[test]
fn a_when_one_of_ten_turns_slow_999_of_1000_still_succeed_within_a_second() {
    let scenario = Scenario {
        clients: 1,
        servers: 10,
        workers: usize::MAX,
        requests_per_second: 1_000.0,
        end: 60 * SECOND,
        joins: 0,
        serve: |server, now, random| {
            let slow = server == 3 && (15 * SECOND..45 * SECOND).contains(&now);
            let time = if slow { 2_000.0 } else { 167.0 };
            (random.normal(time * MS as f64, 5.0 * MS as f64), false)
        },
    };
    for seed in SEEDS {
        let late = |by| share(&run(&scenario, by, seed), |answer| answer.latency > SECOND);
        let (ours, round_robin) = (late(By::Pool), late(By::RoundRobin));
        println!(
            "A seed {seed}: success {:.3} %, round robin {:.3} %",
            100.0 - ours * 100.0,
            100.0 - round_robin * 100.0
        );
        assert!(ours <= 0.001, "late: {ours}, seed {seed}");
        assert!(round_robin > 0.04, "the control must suffer: {round_robin}");
    }
}

fn shared_servers(load: f64, serve: fn(usize, u64, &mut Random) -> (u64, bool)) -> Scenario {
    // 10 servers x 4 workers x 100 requests a second each.
    Scenario {
        clients: 30,
        servers: 10,
        workers: 4,
        requests_per_second: 4_000.0 * load,
        end: 10 * SECOND,
        joins: 0,
        serve,
    }
}

/// One server ten times slower for seven of ten seconds.
#[test]
fn b_a_server_ten_times_slower_leaves_the_99th_percentile_a_twentieth_of_round_robins() {
    let scenario = shared_servers(0.7, |server, now, random| {
        let slow = server == 0 && (2 * SECOND..9 * SECOND).contains(&now);
        (random.exponential(if slow { 100.0 } else { 10.0 } * MS as f64), false)
    });
    for seed in SEEDS {
        let (ours, control) = (run(&scenario, By::Pool, seed), run(&scenario, By::RoundRobin, seed));
        let (p99, p999, control) = (percentile(&ours, 0.99), percentile(&ours, 0.999), percentile(&control, 0.99));
        println!("B seed {seed}: p99 {p99:.0} ms, p99.9 {p999:.0} ms, round robin p99 {control:.0} ms");
        assert!(p99 < control / 20.0, "p99 {p99} ms against {control} ms, seed {seed}");
        assert!(p999 < 500.0, "p99.9 {p999} ms, seed {seed}");
    }
}

/// Three of ten servers are twice as slow, the whole at 85 % load of what full-speed servers bear.
#[test]
fn c_slower_hardware_gets_less_and_nobody_queues() {
    let scenario = shared_servers(0.7225, |server, _, random| {
        (random.exponential(if server < 3 { 20.0 } else { 10.0 } * MS as f64), false)
    });
    for seed in SEEDS {
        let (ours, control) = (run(&scenario, By::Pool, seed), run(&scenario, By::RoundRobin, seed));
        let (p95, control) = (percentile(&ours, 0.95), percentile(&control, 0.95));
        println!("C seed {seed}: p95 {p95:.0} ms, round robin {control:.0} ms");
        assert!(p95 < control / 10.0, "p95 {p95} ms against {control} ms, seed {seed}");
    }
}

/// One server answers 503 within a millisecond for seven of ten seconds.
#[test]
fn d_a_fast_failing_server_fails_at_most_one_request_in_a_hundred() {
    let scenario = shared_servers(0.7, |server, now, random| {
        if server == 0 && (2 * SECOND..9 * SECOND).contains(&now) {
            return (MS, true);
        }
        (random.exponential(10.0 * MS as f64), false)
    });
    for seed in SEEDS {
        let failed = |by| share(&run(&scenario, by, seed), |answer| answer.failed);
        let (ours, round_robin) = (failed(By::Pool), failed(By::RoundRobin));
        println!("D seed {seed}: failed {:.3} %, round robin {:.3} %", ours * 100.0, round_robin * 100.0);
        assert!(ours <= 0.01, "failed: {ours}, seed {seed}");
        assert!(round_robin > 0.06, "the control must suffer: {round_robin}");
    }
}

/// The same from one busy client, whose requests are many enough to run into ejection.
#[test]
fn d_with_one_busy_client_ejection_holds_the_failures_below_one_in_three_hundred() {
    let mut scenario = shared_servers(0.7, |server, now, random| {
        if server == 0 && (2 * SECOND..9 * SECOND).contains(&now) {
            return (MS, true);
        }
        (random.exponential(10.0 * MS as f64), false)
    });
    scenario.clients = 1;
    for seed in SEEDS {
        let ours = share(&run(&scenario, By::Pool, seed), |answer| answer.failed);
        assert!(ours <= 0.003, "failed: {ours}, seed {seed}");
    }
}

/// A failure now and then on every server is no reason to crowd the others.
#[test]
fn occasional_failures_everywhere_do_not_lengthen_the_tail() {
    let healthy = shared_servers(0.7, |_, _, random| (random.exponential(10.0 * MS as f64), false));
    let flaky = shared_servers(0.7, |_, _, random| (random.exponential(10.0 * MS as f64), random.next() % 100 == 0));
    for seed in SEEDS {
        let (healthy, flaky) = (run(&healthy, By::Pool, seed), run(&flaky, By::Pool, seed));
        let (healthy, flaky) = (percentile(&healthy, 0.99), percentile(&flaky, 0.99));
        println!("flaky seed {seed}: p99 {flaky:.0} ms, healthy {healthy:.0} ms");
        assert!(flaky < healthy * 1.5, "p99 {flaky} ms against {healthy} ms, seed {seed}");
    }
}

/// Recovery: the failing server serves again, and takes its share back.
#[test]
fn a_server_that_recovers_gets_traffic_again_within_half_a_minute() {
    let mut scenario = shared_servers(0.7, |server, now, random| {
        if server == 0 && now < 5 * SECOND {
            return (MS, true);
        }
        (random.exponential(10.0 * MS as f64), false)
    });
    scenario.end = 60 * SECOND;
    for seed in SEEDS {
        let mut random = Random(seed);
        let answers = run(&scenario, By::Pool, random.next());
        assert!(answers.iter().any(|answer| answer.failed), "the failing server was tried");
        let late: Vec<Answer> = answers.into_iter().filter(|answer| answer.at > 35 * SECOND).collect();
        let share = share(&late, |answer| answer.server == 0);
        assert!(share > 0.08, "{share} of the traffic, seed {seed}");
    }
}

/// One of ten turns 500 ms slow: two seconds later it gets next to nothing.
#[test]
fn e_two_seconds_after_one_of_ten_turned_slow_it_gets_at_most_one_request_in_a_hundred() {
    let scenario = Scenario {
        clients: 1,
        servers: 10,
        workers: usize::MAX,
        requests_per_second: 500.0,
        end: 12 * SECOND,
        joins: 0,
        serve: |server, now, random| {
            let slow = server == 3 && now >= 5 * SECOND;
            (random.normal(if slow { 500.0 } else { 10.0 } * MS as f64, MS as f64), false)
        },
    };
    for seed in SEEDS {
        let slow_share = |by| {
            let late: Vec<Answer> =
                run(&scenario, by, seed).into_iter().filter(|answer| answer.at >= 7 * SECOND).collect();
            share(&late, |answer| answer.server == 3)
        };
        let (ours, round_robin) = (slow_share(By::Pool), slow_share(By::RoundRobin));
        println!("E seed {seed}: {:.3} %, round robin {:.3} %", ours * 100.0, round_robin * 100.0);
        assert!(ours <= 0.01, "{ours}, seed {seed}");
        assert!((0.09..0.11).contains(&round_robin), "{round_robin}");
    }
}

/// A tenth server joins cold: for its first five seconds it takes a second and a half for what the others do in 50 ms.
#[test]
fn f_a_new_server_that_is_cold_gets_little_until_it_is_warm_and_999_of_1000_succeed() {
    const JOINS: u64 = 10 * SECOND;
    let scenario = Scenario {
        clients: 4,
        servers: 10,
        workers: 40,
        requests_per_second: 1_000.0,
        end: 60 * SECOND,
        joins: JOINS,
        serve: |server, now, random| {
            let cold = server == 9 && now < JOINS + 5 * SECOND;
            let time = if cold { 1_500.0 } else { 50.0 };
            (random.normal(time * MS as f64, 5.0 * MS as f64), false)
        },
    };
    for seed in SEEDS {
        let late = |answers: &[Answer]| share(answers, |answer| answer.latency > SECOND);
        let ours = run(&scenario, By::Pool, seed);
        let during = |from: u64, to: u64| {
            let part = ours.iter().filter(|answer| (JOINS + from * SECOND..JOINS + to * SECOND).contains(&answer.at));
            let (all, new) =
                part.fold((0_u32, 0_u32), |(all, new), answer| (all + 1, new + u32::from(answer.server == 9)));
            f64::from(new) / f64::from(all)
        };
        let shares = [during(0, 2), during(5, 15), during(40, 50)];
        let (late, at_once, round_robin) =
            (late(&ours), late(&run(&scenario, By::AtOnce, seed)), late(&run(&scenario, By::RoundRobin, seed)));
        println!(
            "F seed {seed}: late {late:.5}, without slow start {at_once:.5}, round robin {round_robin:.5}, shares {shares:.3?}"
        );
        assert!(late <= 0.001, "late: {late}, seed {seed}");
        assert!(round_robin > 0.005, "the control must suffer: {round_robin}");
        // Little while it is cold, and in the end a full share.
        assert!(shares[0] < 0.02 && shares[1] < 0.08 && shares[2] > 0.08, "{shares:?}, seed {seed}");
    }
}
