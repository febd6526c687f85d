//! One device's energy, shared out.

use super::idle::Idle;
use super::tracks::{Key, Track, TrackId, Tracks};
use super::weights::{Fit, Weights};
use super::window::{Readings, Window};
use super::work::{self, Work};
use super::{Reading, Totals};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

mod round;
mod sum;

use round::{Edge, Round};
pub(super) use sum::Measured;
use sum::Sum;

/// How far behind a reading the counter is on average: half of its period of 100 ms.
const LAG: Duration = Duration::from_millis(50);
/// Standard deviation of that: the counter's age is anything from nothing to its period.
const LAG_DEVIATION: f64 = 0.1 / 3.464;
/// Windows kept open for requests that run on. What is older is shared out by what is known.
const MOST_OPEN: usize = 128;
/// Time after the last request in which a window is not counted as idle: sensors lag a little.
const SETTLING: Duration = Duration::from_millis(200);
/// Other programs' share above which a window says nothing of the idle power or of weights.
const FOREIGN: f64 = 0.02;
/// Models whose weights are kept.
const MOST_KEYS: usize = 32;

/// What is known of one device.
#[derive(Debug, Default)]
pub(super) struct Device {
    readings: Readings,
    idle: Idle,
    weights: HashMap<Key, Weights>,
    open: VecDeque<Open>,
    sums: BTreeMap<TrackId, Sum>,
    totals: Totals,
    /// What the last window's end is believed to be off by.
    edge: Edge,
    /// When a request last worked here.
    worked: Option<Instant>,
    /// When a reading was last taken.
    pub(super) seen: Option<Instant>,
}

/// A window whose energy is not yet all given to requests.
#[derive(Debug)]
struct Open {
    window: Window,
    /// The same as the counter gives it, its ends uncorrected: what weights are learnt from.
    counted: f64,
    /// Energy above idle that nobody else used, J.
    joules: f64,
    /// What of it is not given yet.
    left: f64,
    /// Standard deviation of the idle power, W.
    idle_sigma: f64,
    /// Variance of what its beginning and its end are off by, J².
    edges: [f64; 2],
    /// Requests that were in flight.
    members: Vec<TrackId>,
    /// Those that have not got their share.
    waiting: Vec<TrackId>,
}

impl Device {
    /// Takes a reading; a window that it closes is opened for sharing.
    pub(super) fn reading(&mut self, reading: &Reading, tracks: &Tracks) {
        self.seen = Some(self.seen.map_or(reading.at, |seen| seen.max(reading.at)));
        let shifted = Reading {
            at: reading.at.checked_sub(LAG).unwrap_or(reading.at),
            ..*reading
        };
        if let Some(window) = self.readings.take(&shifted) {
            self.close(window, tracks);
        }
    }

    fn close(&mut self, window: Window, tracks: &Tracks) {
        let Window {
            from, to, foreign, ..
        } = window;
        let members = tracks.within(from, to);
        let worked = members
            .iter()
            .any(|(_, track)| track.line.touches(from, to));
        let settled = self.worked.is_none_or(|at| from >= at + SETTLING);
        let baseline = self.idle.baseline(to);
        if worked {
            self.worked = Some(to);
        }
        let Some(joules) = window.joules else {
            self.unmeasured(&members);
            return;
        };
        self.totals.measured += joules;
        let watts = joules / window.seconds();
        if members.is_empty() && settled && foreign < FOREIGN {
            self.idle.idle(watts, to);
        } else {
            self.idle.busy(watts);
        }
        let idle = joules.min(baseline.watts * window.seconds());
        let dynamic = joules - idle;
        self.totals.unattributed += dynamic * foreign;
        let counted = dynamic * (1.0 - foreign);
        let before = std::mem::take(&mut self.edge);
        let ours = counted - before.joules;
        if members.is_empty() {
            self.totals.idle += idle + ours;
            return;
        }
        let lines: Vec<&Track> = members.iter().map(|(_, track)| *track).collect();
        let waiting: Vec<bool> = members
            .iter()
            .map(|(id, _)| !tracks.is_settled(*id))
            .collect();
        let round = self.costs(&lines, waiting.clone(), window, tracks);
        self.edge = round.edge(ours, before, baseline.sigma);
        // What is less than nothing was not idle either.
        let given = (ours + self.edge.joules).max(0.0);
        self.totals.idle += idle + (ours + self.edge.joules - given);
        // A request settled early has had its energy: nobody else pays for its work here.
        let gone = if round.all > 0.0 {
            given * (1.0 - round.open / round.all)
        } else {
            0.0
        };
        self.totals.unattributed += gone;
        let given = given - gone;
        self.totals.pending += given;
        let ids = members.iter().map(|(id, _)| *id);
        self.open.push_back(Open {
            window,
            counted,
            joules: given,
            left: given,
            idle_sigma: baseline.sigma,
            edges: [before.variance, self.edge.variance],
            waiting: ids
                .clone()
                .zip(&waiting)
                .filter(|(_, waits)| **waits)
                .map(|(id, _)| id)
                .collect(),
            members: ids.collect(),
        });
        while self.open.len() > MOST_OPEN {
            self.give(0, tracks, |_| true);
            self.finish(tracks);
        }
    }

    /// A window of unknown energy: its requests' energy is unknown.
    fn unmeasured(&mut self, members: &[(TrackId, &Track)]) {
        for (id, _) in members {
            self.sums.entry(*id).or_default().lose();
        }
    }

    /// Gives these requests, which have ended, their shares of all windows.
    pub(super) fn settle(&mut self, ended: &[TrackId], tracks: &Tracks) {
        for index in 0..self.open.len() {
            self.give(index, tracks, |id| ended.contains(&id));
        }
        self.finish(tracks);
    }

    /// What a settled request used; forgets it.
    pub(super) fn take(&mut self, id: TrackId, track: &Track) -> Option<Measured> {
        let sum = self.sums.remove(&id)?;
        let measured = sum.measure(self.fit(track.key.as_ref()));
        if track.is_abandoned() {
            self.totals.attributed -= sum.joules();
            self.totals.unattributed += sum.joules();
        }
        measured
    }

    /// Whether a reading lies behind this moment, or none will come: `newest` is the latest
    /// reading of any device.
    pub(super) fn is_past(&self, at: Instant, newest: Instant) -> bool {
        const GONE: Duration = Duration::from_secs(3);
        self.readings.edge().is_some_and(|edge| edge >= at)
            || self.seen.is_none_or(|seen| newest > seen + GONE)
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            pending: self.totals.pending - self.edge.joules,
            ..self.totals
        }
    }

    /// Whether some open window needs the request.
    pub(super) fn needs(&self, id: TrackId) -> bool {
        self.open.iter().any(|open| open.members.contains(&id))
    }

    /// What a request that ends now used, as well as it is known now: nothing is changed. `track`
    /// stands for the request, whose own track may not know its end.
    pub(super) fn estimate(&self, id: TrackId, track: &Track, tracks: &Tracks) -> Option<Measured> {
        let mut sum = self.sums.get(&id).cloned().unwrap_or_default();
        for open in &self.open {
            if !open.waiting.contains(&id) {
                continue;
            }
            let others: Vec<(TrackId, &Track)> = open
                .members
                .iter()
                .filter(|&&other| other != id)
                .filter_map(|other| Some((*other, tracks.get(*other)?)))
                .collect();
            let round = self.among(
                track,
                &others,
                |id| open.waiting.contains(&id),
                open.window,
                tracks,
            );
            round.add(0, &mut sum, open);
        }
        self.tail(&mut sum, id, track, tracks);
        let measured = sum.measure(self.fit(track.key.as_ref()))?;
        Some(Measured {
            // Power stands in for the counter's next reading, however short the request was.
            counted: measured.counted || self.readings.has_counter(),
            ..measured
        })
    }

    /// Adds what the request used since the last window: by power.
    fn tail(&self, sum: &mut Sum, id: TrackId, track: &Track, tracks: &Tracks) {
        let (Some(from), Some(end)) = (self.readings.edge(), track.line.end) else {
            return;
        };
        if end <= from {
            return;
        }
        let Some(joules) = self.readings.since_edge(end) else {
            sum.lose();
            return;
        };
        let window = Window {
            from,
            to: end,
            joules: Some(joules),
            source: self.readings.power_source(),
            foreign: 0.0,
        };
        let baseline = self.idle.baseline(end);
        let dynamic = (joules - baseline.watts * window.seconds()).max(0.0);
        let open = Open {
            window,
            counted: dynamic,
            joules: dynamic,
            left: dynamic,
            idle_sigma: baseline.sigma,
            edges: [self.edge.variance, 0.0],
            members: Vec::new(),
            waiting: Vec::new(),
        };
        let mut others = tracks.within(from, end);
        others.retain(|(other, _)| *other != id);
        let round = self.among(track, &others, |_| true, window, tracks);
        round.add(0, sum, &open);
    }

    /// Shares of one request and others; the one comes first.
    fn among(
        &self,
        track: &Track,
        others: &[(TrackId, &Track)],
        waits: impl Fn(TrackId) -> bool,
        window: Window,
        tracks: &Tracks,
    ) -> Round {
        let all: Vec<&Track> = std::iter::once(track)
            .chain(others.iter().map(|(_, other)| *other))
            .collect();
        let waiting = std::iter::once(true)
            .chain(others.iter().map(|(other, _)| waits(*other)))
            .collect();
        self.costs(&all, waiting, window, tracks)
    }

    /// Gives the chosen requests of one window their shares.
    fn give(&mut self, index: usize, tracks: &Tracks, chosen: impl Fn(TrackId) -> bool) {
        let Some(open) = self.open.get(index) else {
            return;
        };
        if !open.waiting.iter().any(|id| chosen(*id)) {
            return;
        }
        let members: Vec<(TrackId, &Track)> = open
            .members
            .iter()
            .filter_map(|id| Some((*id, tracks.get(*id)?)))
            .collect();
        let waiting = members
            .iter()
            .map(|(id, _)| open.waiting.contains(id))
            .collect();
        let lines: Vec<&Track> = members.iter().map(|(_, track)| *track).collect();
        let round = self.costs(&lines, waiting, open.window, tracks);
        let Some(open) = self.open.get_mut(index) else {
            return;
        };
        let mut given = 0.0;
        for (member, (id, _)) in members.iter().enumerate() {
            if round.waiting[member] && chosen(*id) {
                let sum = self.sums.entry(*id).or_default();
                given += round.add(member, sum, open);
            }
        }
        open.left = (open.left - given).max(0.0);
        open.waiting.retain(|id| !chosen(*id));
        self.totals.attributed += given;
        self.totals.pending -= given;
    }

    fn costs(&self, tracks: &[&Track], waiting: Vec<bool>, window: Window, all: &Tracks) -> Round {
        let lines: Vec<_> = tracks.iter().map(|track| &track.line).collect();
        let shares = work::work(&lines, window.from, window.to, all.guess());
        let latest = all.latest();
        let fits: Vec<Fit> = tracks
            .iter()
            .map(|track| *self.fit(track.key.as_ref().or(latest)))
            .collect();
        Round::new(
            shares,
            fits,
            waiting,
            |at| lines.iter().any(|line| line.works_at(at)),
            window,
        )
    }

    pub(super) fn fit(&self, key: Option<&Key>) -> &Fit {
        key.and_then(|key| self.weights.get(key))
            .map_or(&Fit::PRIOR, Weights::fit)
    }

    /// Drops the windows that are all given away, from the oldest on, and learns from them.
    fn finish(&mut self, tracks: &Tracks) {
        while let Some(open) = self.open.front() {
            if !open.waiting.is_empty() {
                break;
            }
            let Some(open) = self.open.pop_front() else {
                break;
            };
            // Nobody worked, so nobody can be named.
            self.totals.unattributed += open.left;
            self.totals.pending -= open.left;
            self.learn(&open, tracks);
        }
    }

    fn learn(&mut self, open: &Open, tracks: &Tracks) {
        let members: Option<Vec<&Track>> = open.members.iter().map(|id| tracks.get(*id)).collect();
        let Some(members) = members else { return };
        let Some(key) = members.iter().find_map(|track| track.key.as_ref()) else {
            return;
        };
        let plain = open.window.foreign < FOREIGN
            && members.iter().all(|track| track.key.as_ref() == Some(key));
        if !plain || (self.weights.len() >= MOST_KEYS && !self.weights.contains_key(key)) {
            return;
        }
        let lines: Vec<_> = members.iter().map(|track| &track.line).collect();
        let mut all = Work::NONE;
        for share in work::work(&lines, open.window.from, open.window.to, tracks.guess()) {
            all.add(&share.all());
        }
        let edges = std::f64::consts::SQRT_2 * LAG_DEVIATION / open.window.seconds();
        let sigma = (edges + super::weights::MODEL_DEVIATION) * open.counted + 1.0;
        self.weights
            .entry(key.clone())
            .or_default()
            .learn(&all, open.counted, sigma);
    }
}
