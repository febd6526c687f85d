//! A file in parts, several at once, hashed in order while it arrives.

use super::ledger::Ledger;
use super::source::{Source, content_range};
use super::{Arrived, Stop, Work};
use crate::FetchError;
use crate::client::{Answer, Trouble, io_reason};
use crate::hash::hex;
use crate::reply::{asked_wait, is_passing, refused};
use llamatelemetry_progress::Task;
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes read, written and counted at once. What a kill loses is at most this and a connection's
/// own buffer, for each connection: together less than one part.
const BLOCK: usize = 64 << 10;
/// Bytes hashed at once.
const HASHED: usize = 1 << 20;
/// Bytes that arrive between two times that they are brought to the disk.
const HARDEN: u64 = 128 << 20;
/// How often progress is told.
const TELL: Duration = Duration::from_millis(100);

struct Team<'a> {
    work: &'a Work<'a>,
    ledger: &'a Ledger,
    data: &'a File,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    parts: VecDeque<usize>,
    /// Connections that have a seat.
    active: usize,
    /// Those of them that will take no part any more.
    leaving: usize,
    stop: Option<Stop>,
    /// What was the matter the last time something was.
    trouble: Option<String>,
}

/// A connection's place in the team, given up when dropped, whatever happens to its thread.
struct Seat<'a> {
    team: &'a Team<'a>,
    first: Option<(usize, Answer)>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut state = self.team.lock();
        state.active -= 1;
        state.leaving = state.leaving.saturating_sub(1);
        drop(state);
        self.team.changed.notify_all();
    }
}

/// Why a part is not there yet.
enum Broken {
    /// The connection, not the file, is at fault.
    Connection(String, Option<Duration>),
    Stop(Stop),
}

impl From<FetchError> for Broken {
    fn from(error: FetchError) -> Self {
        Self::Stop(Stop::Error(error))
    }
}

/// Brings the missing parts. `first` is the answer to a request for the first missing range.
pub(super) fn bring(
    work: &Work<'_>,
    ledger: &Ledger,
    first: Option<Answer>,
) -> Result<Arrived, Stop> {
    let size = ledger.facts().size;
    let reused = ledger.arrived();
    work.place.check_room(size)?;
    let data = work.place.open()?;
    if data.metadata().is_ok_and(|data| data.len() > size) {
        // Left over from a longer file whose ledger is gone; its tail must not end up in this one.
        data.set_len(size)
            .map_err(|source| FetchError::write(&work.place.data, source, None))?;
    }
    let task = work
        .progress
        .begin(Task::bytes(work.download.title.clone(), Some(size)));
    task.at(reused);
    if reused > 0 && reused < size {
        task.detail(&format!("goes on after {reused} bytes that are here"));
    }
    let team = Team {
        work,
        ledger,
        data: &data,
        state: Mutex::new(State {
            parts: ledger.missing().collect(),
            ..State::default()
        }),
        changed: Condvar::new(),
    };
    let connections = work.client.connections().min(team.lock().parts.len());
    let hashed = std::thread::scope(|scope| {
        let mut first = first;
        for number in 0..connections {
            let seat = team.seat(first.take());
            let started = std::thread::Builder::new()
                .name(format!("fetch-{number}"))
                .spawn_scoped(scope, || team.member(seat));
            if let Err(error) = started
                && number == 0
            {
                let path = &work.place.data;
                return Err(FetchError::io("start a thread to write", path, error).into());
            }
        }
        let hashed = team.hash(&*task, size);
        if hashed.is_err() {
            team.stop_all();
        }
        hashed
    })?;
    Ok(Arrived {
        size,
        sha256: hashed,
        reused,
        fetched: work.source.received(),
    })
}

impl Team<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the connections to stop because the caller's side failed.
    fn stop_all(&self) {
        let mut state = self.lock();
        if state.stop.is_none() {
            state.stop = Some(Stop::Anew(String::new()));
        }
        drop(state);
        self.changed.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.lock().stop.is_some()
    }

    /// Hashes in order what has arrived, until all has. Runs on the caller's thread.
    fn hash(
        &self,
        task: &dyn llamatelemetry_progress::TaskHandle,
        size: u64,
    ) -> Result<String, Stop> {
        let mut sha256 = Sha256::new();
        let mut block = vec![0; HASHED];
        let mut hashed = 0;
        let mut hardened = self.ledger.arrived();
        loop {
            let prefix = self.ledger.prefix(hashed);
            while hashed < prefix {
                let length = HASHED.min(usize::try_from(prefix - hashed).unwrap_or(HASHED));
                self.data
                    .read_exact_at(&mut block[..length], hashed)
                    .map_err(|source| FetchError::io("read", &self.work.place.data, source))?;
                sha256.update(&block[..length]);
                hashed += length as u64;
            }
            let arrived = self.ledger.arrived();
            task.at(arrived);
            if hashed == size {
                return Ok(hex(&sha256.finalize()));
            }
            if arrived - hardened >= HARDEN {
                self.ledger.harden(self.data)?;
                hardened = arrived;
            }
            let mut state = self.lock();
            if let Some(trouble) = state.trouble.take() {
                task.detail(&trouble);
            }
            if state.active == 0 && self.ledger.prefix(hashed) == hashed {
                return Err(state.stop.take().unwrap_or_else(|| {
                    Stop::Error(self.work.source.nonsense("a part of it never came"))
                }));
            }
            if self.ledger.prefix(hashed) == hashed {
                let waited = self.changed.wait_timeout(state, TELL);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// A seat for one more connection. `first` belongs to the first part, so that one comes with it.
    fn seat(&self, first: Option<Answer>) -> Seat<'_> {
        let mut state = self.lock();
        state.active += 1;
        let first = first.and_then(|answer| Some((state.parts.pop_front()?, answer)));
        Seat { team: self, first }
    }

    /// One connection: takes parts until there are none.
    fn member(&self, mut seat: Seat<'_>) {
        let _signal = crate::sys::FileSizeSignal::hold();
        let mut next = seat.first.take();
        loop {
            let (part, answer) = match next.take() {
                Some((part, answer)) => (part, Some(answer)),
                None => match self.next_part() {
                    Some(part) => (part, None),
                    None => return,
                },
            };
            match self.bring(part, answer) {
                Ok(()) => self.changed.notify_all(),
                Err(Broken::Connection(why, _)) => return self.give_back(part, why),
                Err(Broken::Stop(stop)) => {
                    self.lock().stop.get_or_insert(stop);
                    return;
                }
            }
        }
    }

    fn next_part(&self) -> Option<usize> {
        let mut state = self.lock();
        if state.stop.is_some() {
            return None;
        }
        let part = state.parts.pop_front();
        // Seen together with the empty list, so that nobody gives a part back to nobody.
        state.leaving += usize::from(part.is_none());
        part
    }

    /// Some servers allow fewer connections: the others carry on, and the last one gives up.
    fn give_back(&self, part: usize, why: String) {
        let mut state = self.lock();
        state.parts.push_front(part);
        if state.active - state.leaving > 1 {
            tracing::debug!(part, why, "one connection less");
            state.leaving += 1;
            return;
        }
        let error = FetchError::Interrupted {
            received: self.ledger.arrived(),
            attempts: self.work.client.patience.attempts,
            reason: why,
            url: self.work.source.url.to_string(),
        };
        state.stop.get_or_insert(Stop::Error(error));
    }

    /// Brings what is missing of a part, with patience.
    fn bring(&self, part: usize, mut first: Option<Answer>) -> Result<(), Broken> {
        let mut failures = 0;
        loop {
            let before = self.ledger.written(part);
            let (why, wait) = match self.range(part, first.take()) {
                Ok(()) if self.ledger.written(part) == self.ledger.length(part) => return Ok(()),
                // The answer was to a shorter range than the part, or the download stops.
                Ok(()) if self.is_stopped() => return Ok(()),
                Ok(()) => continue,
                Err(Broken::Connection(why, wait)) => (why, wait),
                Err(stop) => return Err(stop),
            };
            if self.ledger.written(part) > before {
                failures = 0;
            }
            failures += 1;
            if failures >= self.work.client.patience.attempts {
                return Err(Broken::Connection(why, None));
            }
            tracing::debug!(part, why, "asked again");
            let pause = wait.unwrap_or_else(|| self.work.client.patience.after(failures));
            let mut state = self.lock();
            state.trouble = Some(format!("asked again: {why}"));
            let stopped = |state: &mut State| state.stop.is_none();
            let waited = self.changed.wait_timeout_while(state, pause, stopped);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            if self.is_stopped() {
                return Ok(());
            }
        }
    }

    /// One request for the rest of a part, and its bytes.
    fn range(&self, part: usize, first: Option<Answer>) -> Result<(), Broken> {
        let (source, ledger) = (&self.work.source, self.ledger);
        let start = ledger.start(part);
        let end = start + ledger.length(part);
        let mut at = start + ledger.written(part);
        let answer = if let Some(answer) = first {
            answer
        } else {
            let validator = ledger.facts().if_range();
            let request = Source::range(at, end - 1, validator.as_deref());
            source
                .send(self.work.client, &request)
                .map_err(|trouble| match trouble {
                    Trouble::Final(error) => error.into(),
                    Trouble::Passing(why) => Broken::Connection(why, None),
                })?
        };
        match answer.status() {
            206 => {}
            200 | 416 => {
                return Err(Broken::Stop(Stop::Anew(
                    "it changed on the server while it was fetched".to_owned(),
                )));
            }
            status if is_passing(status) => {
                let wait = asked_wait(&answer);
                return Err(Broken::Connection(format!("status {status}"), wait));
            }
            _ => return Err(refused(answer, &source.url).into()),
        }
        let Some((from, last, size)) = content_range(&answer) else {
            return Err(source
                .nonsense("it sends a part without saying which")
                .into());
        };
        let changed = size.is_some_and(|size| size != ledger.facts().size)
            || !ledger.facts().same_file(&answer);
        if changed {
            return Err(Broken::Stop(Stop::Anew(
                "it changed on the server while it was fetched".to_owned(),
            )));
        }
        if from != at {
            return Err(source.nonsense("it sends another range than asked").into());
        }
        let until = end.min(last + 1);
        let mut reader = answer.response.into_body().into_reader();
        let mut block = vec![0; BLOCK];
        while at < until {
            if self.is_stopped() {
                return Ok(());
            }
            let length = BLOCK.min(usize::try_from(until - at).unwrap_or(BLOCK));
            let count = match reader.read(&mut block[..length]) {
                Ok(0) => {
                    let why = "the connection ended too soon".to_owned();
                    return Err(Broken::Connection(why, None));
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Broken::Connection(io_reason(&error), None)),
            };
            self.data
                .write_all_at(&block[..count], at)
                .map_err(|source| {
                    let left = ledger.facts().size - ledger.arrived();
                    FetchError::write(&self.work.place.data, source, Some(left))
                })?;
            at += count as u64;
            ledger.record(part, at - start)?;
            source.count(count as u64);
            self.changed.notify_one();
        }
        // Only a body read to its end leaves its connection for the next request.
        if until == last + 1 {
            let _end = reader.read(&mut block[..1]);
        }
        Ok(())
    }
}
