//! The endpoints of one resource with their estimates, and the draw between them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::draw::{Draw, better, compare, index, ranks, scaled};
use super::hash;
use super::load::{Health, Load};
use super::{Cause, Discipline, MS, Outcome, Spread, Tuning};
use crate::model::{Algorithm, Balancing, Endpoint};

/// A zone with this share of its endpoints, per hundred, bears all of its load.
const ZONE_BEARS: usize = 70;
/// An endpoint elsewhere is taken only when it is this many times quicker,
const ZONE_FACTOR: f64 = 3.0;
/// and never for the sake of less than that many times this.
const ZONE_FLOOR_NS: f64 = 1_000_000.0;
/// How long a probe's response must go on without failing: long streams end too late to wait for.
const TRIAL_NS: u64 = 1_000 * MS;

/// An endpoint, what is known of it, and what the data path keeps for it (`A`: connections, series). Outlives its removal from the pool
/// as long as requests are under way.
#[derive(Debug)]
pub struct Node<A = ()> {
    endpoint: Arc<Endpoint>,
    attached: A,
    /// For keys.
    hash: u64,
    /// Shared with the node that replaces this one when only labels, identity or transport change.
    load: Rc<Load>,
    shared: Rc<Shared>,
}

/// What ejection needs to know of the whole pool.
#[derive(Debug, Default)]
struct Shared {
    members: Cell<usize>,
    ejected: Cell<usize>,
    spread: RefCell<Spread>,
    /// The place after the last one served, for round robin.
    turn: Cell<usize>,
    /// Ejections, by cause in the order of [`Cause::ALL`].
    causes: [Cell<u64>; 3],
    /// Earliest time that an ejected endpoint may be probed; `u64::MAX` when none is ejected.
    probe_at: Cell<u64>,
}

impl<A> Node<A> {
    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// What the data path keeps for it; begins anew when any field of the endpoint changes.
    #[must_use]
    pub fn attached(&self) -> &A {
        &self.attached
    }

    /// What is known of it.
    #[must_use]
    pub fn load(&self) -> &Load {
        &self.load
    }

    /// A try begins. It ends with [`Node::finish`] or [`Node::give_up`], or with [`Node::respond`] and then [`Node::conclude`].
    pub fn begin(&self, now_ns: u64) {
        self.load.start(now_ns);
    }

    /// The response's head came after `latency_ns` and more will follow. The endpoint no longer counts as waited for, or a handful of idle
    /// long-lived streams would repel all other requests. Only slowness is believed already: a head that came fast may yet be a failure's.
    pub fn respond(&self, latency_ns: u64, now_ns: u64) {
        self.load.release(now_ns);
        self.load.given_up(latency_ns, now_ns);
        if self.load.health() == Health::Probing && self.load.member() {
            let until = now_ns.saturating_add(TRIAL_NS);
            self.load.set_health(Health::Trial(until));
            self.shared.probe_at.set(self.shared.probe_at.get().min(until));
        }
    }

    /// The outcome after [`Node::respond`], with the latency of the head.
    pub fn conclude(&self, outcome: Outcome, now_ns: u64) {
        if !outcome.failed {
            self.load.observe(outcome.latency_ns, now_ns);
        }
        self.judge(outcome, now_ns);
    }

    /// The try ended, all at once.
    pub fn finish(&self, outcome: Outcome, now_ns: u64) {
        self.load.release(now_ns);
        if outcome.failed {
            // Failing fast must not look like being fast; failing slowly is slow.
            self.load.given_up(outcome.latency_ns, now_ns);
        } else {
            self.load.observe(outcome.latency_ns, now_ns);
        }
        self.judge(outcome, now_ns);
    }

    /// The client went away after `waited_ns`, before a response.
    pub fn give_up(&self, waited_ns: u64, now_ns: u64) {
        self.load.release(now_ns);
        self.load.given_up(waited_ns, now_ns);
        if self.load.health() == Health::Probing {
            // The probe said nothing: the next request is one.
            self.load.set_health(Health::Ejected(now_ns));
            self.shared.probe_at.set(self.shared.probe_at.get().min(now_ns));
        }
    }

    /// A connection of bytes stands, which is all the success that can be seen of one. It is not waited for any more, and it is held.
    pub fn established(&self, now_ns: u64) {
        self.load.release(now_ns);
        self.load.hold();
        self.judge(Outcome { latency_ns: 0, failed: false }, now_ns);
    }

    /// An upgraded connection stays, beside what is told of the request that asked for it.
    pub fn hold(&self) {
        self.load.hold();
    }

    /// The end of what [`Node::established`] or [`Node::hold`] began. It teaches nothing: connections last as long as their clients want.
    pub fn let_go(&self) {
        self.load.let_go();
    }

    /// No connection could be made: tried last for a while.
    pub fn connect_failed(&self, now_ns: u64) {
        self.load.connect_failed(now_ns);
    }

    /// The server asked for a pause (Retry-After): it is tried last until then. It works, so it is not ejected. `random` is uniform over u64.
    pub fn wait(&self, asked: std::time::Duration, now_ns: u64, random: u64) {
        self.load.wait(asked, now_ns, random);
    }

    /// A connection stands.
    pub fn connected(&self) {
        self.load.connected();
    }

    fn judge(&self, outcome: Outcome, now_ns: u64) {
        let rate = self.shared.spread.borrow().success_rate;
        let cause = self.load.judge(outcome, rate, now_ns);
        if !self.load.member() {
            return;
        }
        match (self.load.health(), cause) {
            (Health::Probing | Health::Trial(_), _) if outcome.failed => self.eject(Cause::Probe, now_ns),
            (Health::Probing | Health::Trial(_), _) => self.readmit(now_ns),
            (Health::Admitted, Some(cause)) if self.shared.may_eject() => {
                self.shared.ejected.set(self.shared.ejected.get() + 1);
                self.eject(cause, now_ns);
            }
            _ => {}
        }
    }

    fn eject(&self, cause: Cause, now_ns: u64) {
        for (known, count) in Cause::ALL.iter().zip(&self.shared.causes) {
            count.set(count.get() + u64::from(*known == cause));
        }
        let until = self.load.eject(now_ns);
        self.shared.probe_at.set(self.shared.probe_at.get().min(until));
    }

    fn readmit(&self, now_ns: u64) {
        self.load.readmit(now_ns);
        self.shared.ejected.set(self.shared.ejected.get().saturating_sub(1));
    }

    /// Neither ejected nor freshly refused.
    pub(super) fn available(&self, now_ns: u64) -> bool {
        self.load.health() == Health::Admitted && !self.load.tried_last(now_ns)
    }
}

impl Shared {
    /// Another may be left out.
    fn may_eject(&self) -> bool {
        (self.ejected.get() + 1) * 100 <= self.members.get() * index(self.spread.borrow().max_ejected)
    }

    /// So few are left that all are used: better some failures than all load on a few.
    fn panics(&self) -> bool {
        let usable = self.members.get().saturating_sub(self.ejected.get());
        self.ejected.get() > 0 && usable * 100 < self.members.get() * index(self.spread.borrow().panic)
    }
}

/// The endpoints of one resource.
#[derive(Debug)]
pub struct Pool<A = ()> {
    /// The product's own, and as the resource says.
    defaults: Tuning,
    tuning: Tuning,
    /// Sorted by address, as the resource is.
    nodes: Vec<Rc<Node<A>>>,
    shared: Rc<Shared>,
}

impl<A: Default> Pool<A> {
    /// An empty pool.
    #[must_use]
    pub fn new(tuning: Tuning) -> Self {
        let shared = Shared { probe_at: Cell::new(u64::MAX), ..Shared::default() };
        Self { defaults: tuning, tuning, nodes: Vec::new(), shared: Rc::new(shared) }
    }

    /// Balances as the resource says from now on; estimates stay.
    pub fn configure(&mut self, balancing: &Balancing) {
        self.tuning = self.defaults.with(balancing);
        self.nodes.iter().for_each(|node| node.load.tune(self.tuning));
        self.shared.spread.replace(Spread::of(balancing));
    }

    /// Replaces the endpoints. What is known of an address stays as long as the pod behind it does, whatever else of the endpoint changes.
    pub fn update(&mut self, endpoints: &[Arc<Endpoint>], now_ns: u64) {
        let slow_start = !self.nodes.is_empty();
        let rtt_ns = self.mean_rtt_ns(now_ns);
        let mut nodes: Vec<Rc<Node<A>>> = endpoints
            .iter()
            .map(|endpoint| match self.known(endpoint) {
                Some(node) if *node.endpoint == **endpoint => Rc::clone(node),
                Some(node) => self.node(endpoint, Rc::clone(&node.load)),
                None => self.node(endpoint, Rc::new(Load::new(self.tuning, rtt_ns, now_ns, slow_start))),
            })
            .collect();
        nodes.sort_by_key(|node| node.endpoint.address);
        nodes.dedup_by(|a, b| a.endpoint.address == b.endpoint.address);
        self.nodes.iter().for_each(|node| node.load.set_member(false));
        nodes.iter().for_each(|node| node.load.set_member(true));
        self.nodes = nodes;
        self.shared.members.set(self.nodes.len());
        self.recount();
    }

    /// Draws an endpoint by the algorithm of the resource; None only when there is none. Endpoints that `excluded` names (already tried for
    /// this request) are chosen only when there are no others. The caller calls [`Node::begin`].
    pub fn pick(&self, draw: Draw, excluded: impl Fn(&Endpoint) -> bool) -> Option<Rc<Node<A>>> {
        if let Some(node) = self.probe(draw.now_ns, &excluded) {
            return Some(node);
        }
        let algorithm = self.shared.spread.borrow().algorithm;
        let usable = |node: &&Rc<Node<A>>| self.is_usable(node, draw.now_ns) && !excluded(&node.endpoint);
        let chosen = match (algorithm, draw.key) {
            (Algorithm::RoundRobin, _) => self.in_turn(draw.random, &usable, &excluded),
            (Algorithm::RingHash, Some(key)) => {
                self.nodes.iter().filter(usable).max_by_key(|node| hash::pull(key, node.hash))
            }
            _ => None,
        };
        if let Some(node) = chosen {
            return Some(Rc::clone(node));
        }
        let discipline = if algorithm == Algorithm::LeastRequest { Discipline::LeastPending } else { draw.discipline };
        let draw = Draw { discipline, ..draw };
        if self.shared.spread.borrow().zone.is_empty() {
            return self.draw_from(draw, excluded);
        }
        self.near(draw, &excluded).or_else(|| self.draw_from(draw, excluded))
    }

    /// The next usable one after the last that was served, so that one which is left out leaves its share to all. A further try of a request takes
    /// nobody's turn and goes to any of the others: in turn, all of them would go to the one that comes after it.
    fn in_turn<'a>(
        &'a self,
        random: u64,
        usable: &impl Fn(&&'a Rc<Node<A>>) -> bool,
        excluded: &impl Fn(&Endpoint) -> bool,
    ) -> Option<&'a Rc<Node<A>>> {
        if self.nodes.iter().any(|node| excluded(&node.endpoint)) {
            let (rank, _) = ranks(random, self.nodes.iter().filter(usable).count());
            return self.nodes.iter().filter(usable).nth(rank);
        }
        let start = self.shared.turn.get().checked_rem(self.nodes.len()).unwrap_or(0);
        let mut places = self.nodes.iter().enumerate().cycle().skip(start).take(self.nodes.len());
        let (place, node) = places.find(|(_, node)| usable(node))?;
        self.shared.turn.set(place + 1);
        Some(node)
    }

    /// An endpoint of the caller's zone, as long as its zone bears the load; None: zones have nothing to say.
    fn near(&self, draw: Draw, excluded: &impl Fn(&Endpoint) -> bool) -> Option<Rc<Node<A>>> {
        let spread = self.shared.spread.borrow();
        let local = |node: &Rc<Node<A>>| node.endpoint.zone == spread.zone;
        let usable = |node: &Rc<Node<A>>| self.is_usable(node, draw.now_ns) && !excluded(&node.endpoint);
        let (members, bearing) = self
            .nodes
            .iter()
            .filter(|node| local(node))
            .fold((0, 0), |(all, good), node| (all + 1, good + usize::from(usable(node))));
        // With too few left the rest of the load goes everywhere, in proportion.
        let dice = index(scaled(draw.random.rotate_left(11), 100));
        if bearing == 0 || bearing * 10_000 < members * ZONE_BEARS * dice {
            return None;
        }
        let of_zone = |here: bool| move |node: &&Rc<Node<A>>| usable(node) && local(node) == here;
        let two = |here: bool| {
            let count = self.nodes.iter().filter(of_zone(here)).count();
            let (first, second) = ranks(draw.random, count);
            let (first, second) = (
                self.nodes.iter().filter(of_zone(here)).nth(first)?,
                self.nodes.iter().filter(of_zone(here)).nth(second)?,
            );
            Some(better(first, second, draw.now_ns, draw.random, draw.discipline))
        };
        let here = two(true)?;
        let Some(there) = two(false) else { return Some(Rc::clone(here)) };
        // Latency alone: what is in hand differs between equals all the time, and a zone that has too much of it becomes slow. An endpoint that
        // nobody has used lately is as quick as it was then.
        let elsewhere = there.load.last_rtt_ns().max(ZONE_FLOOR_NS);
        let chosen = if here.load.estimate_ns(draw.now_ns) > elsewhere * ZONE_FACTOR { there } else { here };
        Some(Rc::clone(chosen))
    }

    fn is_usable(&self, node: &Node<A>, now_ns: u64) -> bool {
        node.available(now_ns) || (self.shared.panics() && !node.load.tried_last(now_ns))
    }

    fn draw_from(&self, draw: Draw, excluded: impl Fn(&Endpoint) -> bool) -> Option<Rc<Node<A>>> {
        let Draw { now_ns, random, discipline, .. } = draw;
        let (first, second) = self.draw(random);
        let (first, second) = (self.nodes.get(first)?, self.nodes.get(second)?);
        let usable = |node: &Node<A>| self.is_usable(node, now_ns) && !excluded(&node.endpoint);
        if usable(first) && usable(second) {
            return Some(Rc::clone(better(first, second, now_ns, random, discipline)));
        }
        let mut usable = self.from(random).filter(|node| usable(node));
        if let Some(first) = usable.next() {
            let second = usable.next().unwrap_or(first);
            return Some(Rc::clone(better(first, second, now_ns, random, discipline)));
        }
        self.last_resort(now_ns, random, discipline, excluded)
    }

    /// Whether a request has anywhere to go. Ejected endpoints count: they serve when nothing else does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// All endpoints, sorted by address.
    #[must_use]
    pub fn nodes(&self) -> &[Rc<Node<A>>] {
        &self.nodes
    }

    /// How many are ejected now.
    #[must_use]
    pub fn ejected(&self) -> usize {
        self.shared.ejected.get()
    }

    /// Ejections so far, by cause.
    pub fn ejections(&self) -> impl Iterator<Item = (Cause, u64)> {
        Cause::ALL.into_iter().zip(self.shared.causes.iter().map(Cell::get))
    }

    /// The node at this address, if the same pod is still behind it.
    fn known(&self, endpoint: &Endpoint) -> Option<&Rc<Node<A>>> {
        let index = self.nodes.binary_search_by(|node| node.endpoint.address.cmp(&endpoint.address)).ok()?;
        self.nodes.get(index).filter(|node| node.endpoint.pod_uid == endpoint.pod_uid)
    }

    fn node(&self, endpoint: &Arc<Endpoint>, load: Rc<Load>) -> Rc<Node<A>> {
        let hash = hash::of_endpoint(endpoint);
        let (endpoint, shared) = (Arc::clone(endpoint), Rc::clone(&self.shared));
        Rc::new(Node { hash, endpoint, attached: A::default(), load, shared })
    }

    /// Two different indices where there are two.
    fn draw(&self, random: u64) -> (usize, usize) {
        ranks(random, self.nodes.len())
    }

    /// Every node once, from a random place.
    fn from(&self, random: u64) -> impl Iterator<Item = &Rc<Node<A>>> {
        let (start, _) = self.draw(random);
        self.nodes.iter().cycle().skip(start).take(self.nodes.len())
    }

    /// The endpoint whose probe is due, now marked as probed.
    fn probe(&self, now_ns: u64, excluded: &impl Fn(&Endpoint) -> bool) -> Option<Rc<Node<A>>> {
        if now_ns < self.shared.probe_at.get() {
            return None;
        }
        for node in &self.nodes {
            if matches!(node.load.health(), Health::Trial(until) if until <= now_ns) {
                node.readmit(now_ns);
            }
        }
        let due = self.nodes.iter().find(|node| {
            matches!(node.load.health(), Health::Ejected(until) if until <= now_ns) && !excluded(&node.endpoint)
        });
        if let Some(node) = due {
            node.load.set_health(Health::Probing);
        }
        self.recount();
        due.map(Rc::clone)
    }

    /// Everything is ejected, refused or excluded: the cheapest of what was not tried for this request, else the cheapest.
    fn last_resort(
        &self,
        now_ns: u64,
        random: u64,
        discipline: Discipline,
        excluded: impl Fn(&Endpoint) -> bool,
    ) -> Option<Rc<Node<A>>> {
        let cheapest = |a: &&Rc<Node<A>>, b: &&Rc<Node<A>>| compare(a, b, now_ns, discipline);
        let untried = self.from(random).filter(|node| !excluded(&node.endpoint)).min_by(cheapest);
        untried.or_else(|| self.from(random).min_by(cheapest)).map(Rc::clone)
    }

    fn mean_rtt_ns(&self, now_ns: u64) -> f64 {
        let (sum, count) = self
            .nodes
            .iter()
            .filter_map(|node| node.load.known_rtt_ns(now_ns))
            .fold((0.0, 0.0), |(sum, count), rtt| (sum + rtt, count + 1.0));
        #[allow(clippy::cast_precision_loss)]
        let default = self.tuning.default_rtt_ns as f64;
        if count > 0.0 { sum / count } else { default }
    }

    /// Recomputes what the pool knows of its ejected members, which removal and probing change.
    fn recount(&self) {
        let mut ejected = 0;
        let mut probe_at = u64::MAX;
        for node in &self.nodes {
            match node.load.health() {
                Health::Admitted => {}
                Health::Probing => ejected += 1,
                Health::Ejected(until) | Health::Trial(until) => {
                    ejected += 1;
                    probe_at = probe_at.min(until);
                }
            }
        }
        self.shared.ejected.set(ejected);
        self.shared.probe_at.set(probe_at);
    }
}
