//! Energy of one request.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Energy that one request used: what the GPUs drew above their idle power while the request's
/// slot worked, shared with the requests that ran beside it by the work done. `docs/energy.md`
/// defines it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Energy {
    /// Joules in all.
    pub joules: f64,
    /// Joules of evaluating the prompt, where the split is known.
    pub prefill_joules: Option<f64>,
    /// Joules of generating, where the split is known.
    pub decode_joules: Option<f64>,
    /// Half width of the 95 % interval around `joules`, J.
    pub error: f64,
    /// How it was measured.
    pub method: EnergyMethod,
}

/// How an energy was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnergyMethod {
    /// The device's own energy counter, over closed windows.
    Counter,
    /// The counter up to its latest reading, then power over time: an answer's figure at once.
    CounterAndPower,
    /// Power over time: the device has no counter.
    Power,
}

impl EnergyMethod {
    /// The name used in results and on spans.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::CounterAndPower => "counter+power",
            Self::Power => "power",
        }
    }
}

impl<'de> Deserialize<'de> for EnergyMethod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        [Self::Counter, Self::CounterAndPower, Self::Power]
            .into_iter()
            .find(|method| method.as_str() == name)
            .ok_or_else(|| D::Error::custom("no method of measuring energy"))
    }
}

impl Serialize for EnergyMethod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
