//! One draw, and which of two endpoints it takes.

use std::cmp::Ordering;
use std::rc::Rc;

use super::{Discipline, Node};

/// What one draw is made with.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// The clock.
    pub now_ns: u64,
    /// Uniform over u64.
    pub random: u64,
    /// What is compared where two are.
    pub discipline: Discipline,
    /// What the request is told apart by.
    pub key: Option<u64>,
}

/// The cheaper of two; one in slow start takes part only as often as its ramp says.
pub(super) fn better<'a, A>(
    first: &'a Rc<Node<A>>,
    second: &'a Rc<Node<A>>,
    now_ns: u64,
    random: u64,
    discipline: Discipline,
) -> &'a Rc<Node<A>> {
    if Rc::ptr_eq(first, second) {
        return first;
    }
    let dice = f64::from(scaled(random.rotate_left(48), 1 << 16)) / f64::from(1_u32 << 16);
    let joins = |node: &Node<A>| dice < node.load().ramp(now_ns);
    match (joins(first), joins(second)) {
        (true, false) => first,
        (false, true) => second,
        _ if compare(second, first, now_ns, discipline) == Ordering::Less => second,
        _ => first,
    }
}

pub(super) fn compare<A>(a: &Node<A>, b: &Node<A>, now_ns: u64, discipline: Discipline) -> Ordering {
    a.load().cost(now_ns, discipline).total_cmp(&b.load().cost(now_ns, discipline))
}

/// Two different ranks below `count` where there are two.
pub(super) fn ranks(random: u64, count: usize) -> (usize, usize) {
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    let first = scaled(random, count);
    if count == 1 {
        return (0, 0);
    }
    let step = 1 + scaled(random.rotate_left(24), count - 1);
    (index(first), index((first + step) % count))
}

/// The upper half of `random` scaled to 0..count without division.
pub(super) fn scaled(random: u64, count: u32) -> u32 {
    u32::try_from(((random >> 32) * u64::from(count)) >> 32).unwrap_or(0)
}

pub(super) fn index(n: u32) -> usize {
    usize::try_from(n).unwrap_or(0)
}
