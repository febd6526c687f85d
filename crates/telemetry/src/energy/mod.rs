//! Joules of each request, from readings of a device's energy and the work in flight.
//!
//! Pure: no clock is read and nothing is asked here. Somebody hands in readings, requests that
//! begin and records of those that ended, and takes out the records with their energy.
//! `docs/energy.md` says what is measured and how good it is.
//!
//! Between two readings lies a *window*. Its energy above the idle power is divided among the
//! requests whose slots worked in it, by the cost of what they did; that cost is learnt from the
//! windows themselves. So the joules of all requests, what was idle and what nobody of ours used
//! sum to what the counter says.

mod device;
mod idle;
mod tracks;
mod weights;
mod window;
mod work;

use device::{Device, Measured};
use llamatelemetry_record::{Energy, EnergyMethod, LiveRequest, RequestRecord};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracks::{TrackId, Tracks};

/// How long a record is kept for readings that do not come.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Half width of a 95 % interval, in standard deviations.
const HALF_WIDTH: f64 = 1.96;

/// One reading of one device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// When it was taken.
    pub at: Instant,
    /// The cumulative energy counter, J; `None` where it was not read or there is none.
    pub joules: Option<f64>,
    /// Power; `None` where it was not read.
    pub watts: Option<Watts>,
    /// Share of the device's work since the last reading that was other programs', 0 to 1.
    pub foreign_share: f64,
}

/// What a device draws, W.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Watts {
    /// At this moment.
    Now(f64),
    /// On average over the driver's last interval, a second or so.
    Mean(f64),
}

/// Joules since the first reading, all devices together. `idle`, `attributed`, `unattributed` and
/// `pending` sum to `measured`.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Totals {
    /// What the devices took.
    pub measured: f64,
    /// What they would have taken with nothing in flight.
    pub idle: f64,
    /// What requests got.
    pub attributed: f64,
    /// Above idle, and no request of ours: other programs' share, requests without a record.
    pub unattributed: f64,
    /// Above idle, and not shared out yet.
    pub pending: f64,
}

/// Divides the energy of devices among requests.
#[derive(Debug, Default)]
pub struct Meter {
    devices: BTreeMap<String, Device>,
    tracks: Tracks,
    /// Records of requests that were never announced.
    unknown: Vec<Arc<RequestRecord>>,
    /// The latest reading of any device.
    newest: Option<Instant>,
}

impl Meter {
    /// A meter that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A request was sent.
    pub fn started(&mut self, live: &Arc<LiveRequest>) {
        self.tracks.started(live);
    }

    /// A device was read. Readings of one device come in the order of their times; one that is
    /// missing makes a longer window.
    pub fn reading(&mut self, device: &str, reading: &Reading) {
        self.newest = Some(self.newest.map_or(reading.at, |at| at.max(reading.at)));
        self.tracks.look(reading.at);
        if !self.devices.contains_key(device) {
            self.devices.insert(device.to_owned(), Device::default());
        }
        if let Some(known) = self.devices.get_mut(device) {
            known.reading(reading, &self.tracks);
        }
    }

    /// A request has its record, which came at `now`. One that was never announced has no energy:
    /// what was in flight beside it was not known when the windows were closed.
    pub fn ended(&mut self, record: Arc<RequestRecord>, now: Instant) {
        if let Err(unknown) = self.tracks.ended(record, now) {
            self.unknown.push(unknown);
        }
    }

    /// The records whose energy is final by `now`: a reading of each device lies behind their end,
    /// or none came for one and a half seconds. `None` where no device is read, or one of them
    /// could not be.
    pub fn settled(&mut self, now: Instant) -> Vec<(Arc<RequestRecord>, Option<Energy>)> {
        self.settle(|devices, newest, end| {
            devices.values().all(|device| device.is_past(end, newest)) || now >= end + PATIENCE
        })
    }

    /// All ended records at once, by what is known: at the end of a program.
    pub fn settle_all(&mut self) -> Vec<(Arc<RequestRecord>, Option<Energy>)> {
        self.settle(|_, _, _| true)
    }

    /// The energy of a request that has just ended, as well as it is known at once. `None` where
    /// nothing measures it, or the request was never announced.
    pub fn estimate(&self, record: &RequestRecord) -> Option<Energy> {
        let (id, track) = self.tracks.by_span(record.span_id)?;
        let mut track = track.clone();
        track.end(record);
        let parts = self
            .devices
            .values()
            .map(|device| device.estimate(id, &track, &self.tracks));
        energy(parts)
    }

    /// Whether any device was ever read.
    pub fn measures(&self) -> bool {
        !self.devices.is_empty()
    }

    /// Whether a request is in flight, or waits for a reading behind its end.
    pub fn is_busy(&self) -> bool {
        self.tracks.any_unsettled()
    }

    /// Joules so far.
    pub fn totals(&self) -> Totals {
        self.devices
            .values()
            .map(Device::totals)
            .fold(Totals::default(), |sum, more| Totals {
                measured: sum.measured + more.measured,
                idle: sum.idle + more.idle,
                attributed: sum.attributed + more.attributed,
                unattributed: sum.unattributed + more.unattributed,
                pending: sum.pending + more.pending,
            })
    }

    fn settle(
        &mut self,
        is_final: impl Fn(&BTreeMap<String, Device>, Instant, Instant) -> bool,
    ) -> Vec<(Arc<RequestRecord>, Option<Energy>)> {
        let newest = self.newest;
        let mut out: Vec<_> = self
            .unknown
            .drain(..)
            .map(|record| (record, None))
            .collect();
        let ended: Vec<(TrackId, Instant)> = self
            .tracks
            .unsettled()
            .into_iter()
            .filter(|(_, end)| newest.is_none_or(|newest| is_final(&self.devices, newest, *end)))
            .collect();
        if ended.is_empty() {
            return out;
        }
        // Those without a reading behind them get what an estimate gives.
        let early: BTreeMap<TrackId, Option<Energy>> = ended
            .iter()
            .filter(|(_, end)| {
                newest.is_some_and(|newest| {
                    !self
                        .devices
                        .values()
                        .all(|device| device.is_past(*end, newest))
                })
            })
            .filter_map(|(id, _)| Some((*id, self.tracks.get(*id)?)))
            .map(|(id, track)| {
                let parts = self
                    .devices
                    .values()
                    .map(|device| device.estimate(id, track, &self.tracks));
                (id, energy(parts))
            })
            .collect();
        let ids: Vec<TrackId> = ended.iter().map(|(id, _)| *id).collect();
        for device in self.devices.values_mut() {
            device.settle(&ids, &self.tracks);
        }
        for id in ids {
            let Some(track) = self.tracks.get(id) else {
                continue;
            };
            let parts: Vec<Option<Measured>> = self
                .devices
                .values_mut()
                .map(|device| device.take(id, track))
                .collect();
            let energy = match early.get(&id) {
                Some(estimate) => *estimate,
                None => energy(parts.into_iter()),
            };
            if let Some(record) = self.tracks.settle(id) {
                out.push((record, energy));
            }
        }
        let devices = &self.devices;
        self.tracks
            .forget(|id| devices.values().any(|device| device.needs(id)));
        out
    }
}

/// The sum over devices; `None` if one of them is unknown, or there is none.
fn energy(parts: impl Iterator<Item = Option<Measured>>) -> Option<Energy> {
    let parts: Option<Vec<Measured>> = parts.collect();
    let parts = parts.filter(|parts| !parts.is_empty())?;
    let sum = |value: fn(&Measured) -> f64| parts.iter().map(value).sum::<f64>();
    let (joules, prefill) = (sum(|part| part.joules), sum(|part| part.prefill));
    let method = if parts.iter().all(|part| !part.counted) {
        EnergyMethod::Power
    } else if parts.iter().any(|part| part.estimated) {
        EnergyMethod::CounterAndPower
    } else {
        EnergyMethod::Counter
    };
    Some(Energy {
        joules,
        prefill_joules: Some(prefill),
        decode_joules: Some((joules - prefill).max(0.0)),
        error: HALF_WIDTH * sum(|part| part.variance).sqrt(),
        method,
    })
}

#[cfg(test)]
mod tests;
