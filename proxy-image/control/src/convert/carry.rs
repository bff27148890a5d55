//! How requests are carried.

use std::time::{Duration, SystemTime};

use weft_policy::model::{Abort, Breaker, Fault, HttpMatch, RequestPolicy, Retry, RetryBudget, SuccessRate, Timeouts};

use super::error::{each, invalid};
use super::shared::reference;
use super::{At, ConvertError};
use crate::wire::config as wire;

/// The contract's bound on bodies that are kept.
const MAX_BODY: u32 = 1 << 20;
/// What the contract says for unset pauses of a breaker.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);

impl TryFrom<wire::RequestPolicy> for RequestPolicy {
    type Error = ConvertError;

    fn try_from(wire: wire::RequestPolicy) -> Result<Self, ConvertError> {
        Ok(Self {
            policy: reference("policy", wire.policy)?,
            rule: wire.rule,
            matches: each("matches", wire.matches, HttpMatch::try_from)?,
            timeouts: wire.timeouts.map(Timeouts::from).unwrap_or_default(),
            retry: wire.retry.map(Retry::try_from).transpose().at("retry")?,
            breaker: wire.breaker.map(Breaker::try_from).transpose().at("breaker")?,
            max_requests: given(wire.max_requests),
            faults: each("faults", wire.faults, Fault::try_from)?,
        })
    }
}

impl From<wire::Timeouts> for Timeouts {
    fn from(wire: wire::Timeouts) -> Self {
        let limit = |ms| given(ms).map(millis);
        Self {
            request: limit(wire.request_ms),
            per_try: limit(wire.try_ms),
            response: limit(wire.response_ms),
            idle: limit(wire.idle_ms),
        }
    }
}

impl TryFrom<wire::Retry> for Retry {
    type Error = ConvertError;

    fn try_from(wire: wire::Retry) -> Result<Self, ConvertError> {
        if wire.limit == 0 {
            return Err(invalid(wire.limit, "above 0")).at("limit");
        }
        if wire.max_body_bytes > MAX_BODY {
            return Err(invalid(wire.max_body_bytes, format!("at most {MAX_BODY}"))).at("max_body_bytes");
        }
        let statuses = each("statuses", wire.statuses, |range| {
            let (first, last) = (status(range.first).at("first")?, status(range.last).at("last")?);
            if first > last { Err(invalid(first, format!("at most {last}"))).at("first") } else { Ok(first..=last) }
        })?;
        Ok(Self {
            limit: wire.limit,
            statuses,
            grpc_codes: each("grpc_codes", wire.grpc_codes, grpc)?,
            on_connection_error: wire.on_connection_error,
            on_timeout: wire.on_timeout,
            methods: wire.methods,
            max_body: usize::try_from(wire.max_body_bytes).unwrap_or(usize::MAX),
            budget: wire.budget.map(RetryBudget::from).unwrap_or_default(),
            backoff: millis(wire.backoff_ms),
            backoff_max: millis(wire.backoff_max_ms.max(wire.backoff_ms)),
            max_retry_after: millis(wire.max_retry_after_ms),
        })
    }
}

impl From<wire::RetryBudget> for RetryBudget {
    fn from(wire: wire::RetryBudget) -> Self {
        Self { percent: wire.percent, min_per_second: wire.min_per_second, ttl: millis(wire.ttl_ms.max(1)) }
    }
}

impl TryFrom<wire::Breaker> for Breaker {
    type Error = ConvertError;

    fn try_from(wire: wire::Breaker) -> Result<Self, ConvertError> {
        let pause = given(wire.pause_ms).map_or(PAUSE, millis);
        Ok(Self {
            consecutive_failures: given(wire.consecutive_failures),
            success_rate: wire.success_rate.map(SuccessRate::try_from).transpose().at("success_rate")?,
            pause,
            pause_max: given(wire.pause_max_ms).map_or(PAUSE_MAX, millis).max(pause),
        })
    }
}

impl TryFrom<wire::SuccessRate> for SuccessRate {
    type Error = ConvertError;

    fn try_from(wire: wire::SuccessRate) -> Result<Self, ConvertError> {
        if !(1..=1000).contains(&wire.threshold_permille) {
            return Err(invalid(wire.threshold_permille, "from 1 to 1000")).at("threshold_permille");
        }
        if wire.window_ms < 10 {
            return Err(invalid(wire.window_ms, "at least 10")).at("window_ms");
        }
        Ok(Self {
            threshold_permille: wire.threshold_permille,
            window: millis(wire.window_ms),
            min_requests: wire.min_requests.max(1),
        })
    }
}

impl TryFrom<wire::Fault> for Fault {
    type Error = ConvertError;

    fn try_from(wire: wire::Fault) -> Result<Self, ConvertError> {
        // A fault that would never end is not taken, whatever the operator thinks of it.
        let until = u64::try_from(wire.until_unix_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis);
        let until = until.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
        let abort = match given(wire.abort_status) {
            None => None,
            Some(code) => Some(Abort {
                status: error_status(code).at("abort_status")?,
                grpc: grpc(wire.abort_grpc).at("abort_grpc")?,
            }),
        };
        Ok(Self {
            name: wire.name,
            matches: each("matches", wire.matches, HttpMatch::try_from)?,
            identities: wire.identities,
            share_ppm: wire.share_ppm.min(1_000_000),
            delay: millis(wire.delay_ms),
            abort,
            until: until.ok_or_else(|| invalid(wire.until_unix_ms, "a moment at which it ends")).at("until_unix_ms")?,
            success_floor_permille: given(wire.success_floor_permille),
        })
    }
}

/// 0 says nothing.
fn given(value: u32) -> Option<u32> {
    (value != 0).then_some(value)
}

pub(super) fn millis(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

fn status(value: u32) -> Result<u16, ConvertError> {
    u16::try_from(value)
        .ok()
        .filter(|status| (100..600).contains(status))
        .ok_or_else(|| invalid(value, "a status from 100 to 599"))
}

fn error_status(value: u32) -> Result<u16, ConvertError> {
    status(value)?;
    u16::try_from(value).ok().filter(|code| *code >= 400).ok_or_else(|| invalid(value, "a status from 400 to 599"))
}

fn grpc(value: u32) -> Result<u16, ConvertError> {
    u16::try_from(value).ok().filter(|code| *code <= 16).ok_or_else(|| invalid(value, "a gRPC code from 0 to 16"))
}
