//! How requests are spread over endpoints.

use weft_policy::model::{Algorithm, Balancing, Ejection, HashKey, SuccessRate};

use super::carry::millis;
use super::error::invalid;
use super::{At, ConvertError, missing};
use crate::wire::config as wire;

impl TryFrom<wire::Balancing> for Balancing {
    type Error = ConvertError;

    fn try_from(wire: wire::Balancing) -> Result<Self, ConvertError> {
        let algorithm = algorithm(wire.algorithm)?;
        let hash_key = wire.hash_key.map(HashKey::try_from).transpose().at("hash_key")?;
        if algorithm == Algorithm::RingHash && hash_key.is_none() {
            return Err(missing("hash_key"));
        }
        Ok(Self {
            algorithm,
            hash_key,
            slow_start: wire.slow_start_ms.map(millis),
            ejection: wire.ejection.map(Ejection::try_from).transpose().at("ejection")?.unwrap_or_default(),
            local_zone: wire.local_zone,
        })
    }
}

impl TryFrom<wire::HashKey> for HashKey {
    type Error = ConvertError;

    fn try_from(wire: wire::HashKey) -> Result<Self, ConvertError> {
        use wire::hash_key::Kind;
        match wire.kind.ok_or_else(|| missing("kind"))? {
            Kind::Header(name) if name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Err(invalid(name, "a lower-case header name")).at("header")
            }
            Kind::Header(name) => Ok(Self::Header(name)),
            Kind::Cookie(name) if name.is_empty() => Err(invalid(name, "the name of a cookie")).at("cookie"),
            Kind::Cookie(name) => Ok(Self::Cookie(name)),
            Kind::Identity(_) => Ok(Self::Identity),
            Kind::Source(_) => Ok(Self::Source),
        }
    }
}

impl TryFrom<wire::Ejection> for Ejection {
    type Error = ConvertError;

    fn try_from(wire: wire::Ejection) -> Result<Self, ConvertError> {
        Ok(Self {
            consecutive_failures: wire.consecutive_failures,
            success_rate: wire.success_rate.map(SuccessRate::try_from).transpose().at("success_rate")?,
            pause: wire.pause_ms.map(millis),
            pause_max: wire.pause_max_ms.map(millis),
            max_percent: percent(wire.max_percent).at("max_percent")?,
            panic_percent: percent(wire.panic_percent).at("panic_percent")?,
        })
    }
}

fn percent(value: Option<u32>) -> Result<Option<u32>, ConvertError> {
    match value {
        Some(value) if value > 100 => Err(invalid(value, "at most 100")),
        value => Ok(value),
    }
}

fn algorithm(value: i32) -> Result<Algorithm, ConvertError> {
    Ok(match wire::Algorithm::try_from(value) {
        Ok(wire::Algorithm::Unspecified | wire::Algorithm::PeakEwma) => Algorithm::PeakEwma,
        Ok(wire::Algorithm::LeastRequest) => Algorithm::LeastRequest,
        Ok(wire::Algorithm::RingHash) => Algorithm::RingHash,
        Ok(wire::Algorithm::RoundRobin) => Algorithm::RoundRobin,
        Err(_) => return Err(invalid(value, "an algorithm that this proxy knows")).at("algorithm"),
    })
}
