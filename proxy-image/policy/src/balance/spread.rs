//! What a resource says of how its endpoints are balanced, beside the constants of estimates.

use super::Tuning;
use crate::carry::nanoseconds;
use crate::model::{Algorithm, Balancing, SuccessRate};

/// Share of the endpoints, per hundred, that may be ejected where nothing else is said: with more gone, the fault is not the endpoints'.
const MAX_EJECTED: u32 = 50;
/// While fewer than this share are usable, all are used, where nothing else is said.
const PANIC: u32 = 50;

/// The settings of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Who gets the next request.
    pub algorithm: Algorithm,
    /// Endpoints of this zone are preferred; empty: zones mean nothing.
    pub zone: String,
    /// Per hundred.
    pub max_ejected: u32,
    /// Per hundred; 0: never.
    pub panic: u32,
    /// Ejects an endpoint beside a run of failures.
    pub success_rate: Option<SuccessRate>,
}

impl Default for Spread {
    fn default() -> Self {
        Self::of(&Balancing::default())
    }
}

impl Spread {
    /// What `balancing` says.
    #[must_use]
    pub fn of(balancing: &Balancing) -> Self {
        let ejection = &balancing.ejection;
        Self {
            algorithm: balancing.algorithm,
            zone: balancing.local_zone.clone(),
            max_ejected: ejection.max_percent.unwrap_or(MAX_EJECTED),
            panic: ejection.panic_percent.unwrap_or(PANIC),
            success_rate: ejection.success_rate,
        }
    }
}

impl Tuning {
    /// With what `balancing` says instead.
    #[must_use]
    pub fn with(self, balancing: &Balancing) -> Self {
        let ejection = &balancing.ejection;
        let pause = ejection.pause.map_or(self.eject_ns, nanoseconds);
        let slow_start_ns = balancing.slow_start.map_or(self.slow_start_ns, nanoseconds);
        Self {
            slow_start_ns,
            eject_after: ejection.consecutive_failures.unwrap_or(self.eject_after),
            eject_ns: pause,
            eject_max_ns: ejection.pause_max.map_or(self.eject_max_ns, nanoseconds).max(pause),
            ..self
        }
    }
}
