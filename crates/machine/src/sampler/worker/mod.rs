//! The sampler's thread.

use super::frame::FromFollower;
use super::process::ProcessReader;
use super::reader::Reader;
use super::sample::{Absence, Detail, ProcessSample, Sample};
use super::schedule::Schedule;
use super::share::{Leader, Link, Meeting};
use super::{SamplerConfig, Shared, Wishes};
use crate::sys;
use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Whoever reads tells something every second. After so much silence it is stopped or stuck, and
/// whoever follows reads for itself.
const SILENCE: Duration = Duration::from_secs(3);
/// Between the moment that one takes the lock and the one at which it listens, nobody can follow.
const RETRY: Duration = Duration::from_millis(20);
/// How long that is tried before one reads for itself.
const RETRY_LIMIT: Duration = Duration::from_secs(1);
/// How often one who reads for itself looks for somebody to follow.
const SEARCH: Duration = Duration::from_secs(2);

/// Who reads the hardware for this process.
#[derive(Debug)]
enum Role {
    /// This process, for itself and all who follow.
    Leader(Leader),
    /// Another process.
    Follower {
        link: Link,
        heard: Instant,
        /// Whether a sample has come: one who refuses, or speaks another language, sends none.
        shown: bool,
    },
    /// This process, for itself only: nobody else is to know, or whoever reads is silent.
    Alone {
        /// The silent one, should it speak again.
        silent: Option<Link>,
        /// When to look for somebody again; `None` for never.
        search: Option<Instant>,
        /// Why, if that is worth telling.
        reason: Option<String>,
    },
}

/// Works until it is told to stop.
pub(super) fn run(config: SamplerConfig, shared: &Arc<Shared>, woken: &UnixStream) {
    let mut worker = Worker {
        reader: Reader::new(config.gpus, config.packages, &config.proc_root),
        processes: ProcessReader::at(&config.proc_root),
        seen: Vec::new(),
        asked: BTreeSet::new(),
        schedule: Schedule::default(),
        meeting: config.folder.as_deref().map(Meeting::in_folder),
        shared,
        woken,
        told: None,
    };
    let mut role = worker.find_role(RETRY_LIMIT);
    loop {
        let wishes = worker.take_wishes();
        if wishes.stop {
            return;
        }
        role = match role {
            Role::Follower { link, heard, shown } => worker.follow(link, heard, shown, &wishes),
            leading => worker.lead(leading, &wishes),
        };
    }
}

#[derive(Debug)]
struct Worker<'a> {
    reader: Reader,
    processes: ProcessReader,
    /// The processes as the last full look found them.
    seen: Vec<ProcessSample>,
    /// The processes that were wanted then, whether or not they ran.
    asked: BTreeSet<u32>,
    schedule: Schedule,
    meeting: Option<Meeting>,
    shared: &'a Shared,
    woken: &'a UnixStream,
    /// What the one who reads knows of this process.
    told: Option<bool>,
}

impl Worker<'_> {
    /// What is wanted now. A wish for a look is granted once.
    fn take_wishes(&mut self) -> Wishes {
        let mut wishes = self.shared.wishes();
        let taken = wishes.clone();
        wishes.look = false;
        taken
    }

    /// A wish that nobody could grant is a wish still.
    fn put_back(&self, wishes: &Wishes) {
        if wishes.look {
            self.shared.wishes().look = true;
        }
    }

    /// Leads or follows; if neither is possible within the limit, looks alone.
    fn find_role(&mut self, limit: Duration) -> Role {
        self.told = None;
        let Some(meeting) = &self.meeting else {
            return Role::Alone {
                silent: None,
                search: None,
                reason: None,
            };
        };
        let deadline = Instant::now() + limit;
        loop {
            let failure = match meeting.lead() {
                Ok(Some(leader)) => return Role::Leader(leader),
                Err(error) => error,
                Ok(None) => match meeting.follow() {
                    Ok(link) => {
                        return Role::Follower {
                            link,
                            heard: Instant::now(),
                            shown: false,
                        };
                    }
                    Err(error) => error,
                },
            };
            if Instant::now() >= deadline || self.shared.wishes().stop {
                return Self::alone(&failure);
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Looks alone because of this failure, and searches again after the usual pause.
    fn alone(failure: &io::Error) -> Role {
        Role::Alone {
            silent: None,
            search: Some(Instant::now() + SEARCH),
            reason: Some(format!(
                "this process reads the hardware for itself: others cannot be asked ({failure})"
            )),
        }
    }

    /// What to do after a connection failed. One that never showed a sample would fail again at
    /// once, and so on without a pause.
    fn leave(&mut self, shown: bool, failure: &io::Error) -> Role {
        if shown {
            self.find_role(RETRY_LIMIT)
        } else {
            Self::alone(failure)
        }
    }

    /// Waits until something can be read, the thread is woken, or the limit is over.
    fn wait(&self, others: &[BorrowedFd<'_>], limit: Duration) -> Vec<bool> {
        let mut all = vec![self.woken.as_fd()];
        all.extend_from_slice(others);
        let mut ready = sys::wait_readable(&all, limit).unwrap_or_else(|_| {
            // It cannot fail but for want of memory: better slow than busy.
            std::thread::sleep(limit.min(Duration::from_secs(1)));
            vec![false; all.len()]
        });
        if ready.remove(0) {
            let mut bytes = [0; 64];
            while matches!((&*self.woken).read(&mut bytes), Ok(count) if count == bytes.len()) {}
        }
        ready
    }

    /// Follows for one message or one silence.
    fn follow(&mut self, mut link: Link, heard: Instant, shown: bool, wishes: &Wishes) -> Role {
        if wishes.look || self.told != Some(wishes.busy) {
            let message = FromFollower {
                busy: wishes.busy,
                look: wishes.look,
            };
            if let Err(failure) = link.tell(message) {
                self.put_back(wishes);
                return self.leave(shown, &failure);
            }
            self.told = Some(wishes.busy);
        }
        let silence = SILENCE.saturating_sub(heard.elapsed());
        let ready = self.wait(&[link.descriptor()], silence);
        if ready != [true] {
            return if heard.elapsed() < SILENCE {
                Role::Follower { link, heard, shown }
            } else {
                self.schedule = Schedule::default();
                Role::Alone {
                    silent: Some(link),
                    search: Some(Instant::now() + SEARCH),
                    reason: Some(
                        "the process that reads the hardware for all is silent (stopped?); this \
                         one reads for itself"
                            .to_owned(),
                    ),
                }
            };
        }
        match link.samples() {
            Ok(samples) => {
                let shown = shown || !samples.is_empty();
                for sample in samples {
                    self.publish(sample, wishes);
                }
                let heard = Instant::now();
                Role::Follower { link, heard, shown }
            }
            Err(failure) => self.leave(shown, &failure),
        }
    }

    /// Reads the hardware until the next look is made, or something else is to be done.
    fn lead(&mut self, mut role: Role, wishes: &Wishes) -> Role {
        if let Role::Alone { silent, search, .. } = &mut role {
            // A silent one that speaks again is followed again.
            if let Some(mut link) = silent.take() {
                match link.samples() {
                    Ok(samples) if samples.is_empty() => *silent = Some(link),
                    Ok(samples) => {
                        for sample in samples {
                            self.publish(sample, wishes);
                        }
                        self.told = None;
                        self.put_back(wishes);
                        return Role::Follower {
                            link,
                            heard: Instant::now(),
                            shown: true,
                        };
                    }
                    Err(_) => {
                        self.put_back(wishes);
                        return self.find_role(RETRY_LIMIT);
                    }
                }
            }
            if search.is_some_and(|search| Instant::now() >= search) {
                *search = Some(Instant::now() + SEARCH);
                if silent.is_none() {
                    self.put_back(wishes);
                    // One try: whoever looks alone has looks to make.
                    return self.find_role(Duration::ZERO);
                }
            }
        }
        if wishes.look {
            self.schedule.wish();
        }
        // Before every look, for where looks are slow the next is due at once and nothing waits.
        if let Role::Leader(leader) = &mut role {
            self.attend(leader);
        }
        let busy = wishes.busy || matches!(&role, Role::Leader(leader) if leader.busy());
        let now = Instant::now();
        let (due, detail) = self.schedule.next(now, busy);
        if due > now {
            self.wait_leading(&role, due - now);
            return role;
        }
        let before = sys::thread_time();
        let mut sample = self.reader.look(detail);
        let cost = sys::thread_time().saturating_sub(before);
        self.schedule.made(due, now, detail, cost);
        if let Role::Alone {
            reason: Some(reason),
            ..
        } = &role
        {
            sample.absences.push(Absence::new("sampler", reason));
        }
        if let Role::Leader(leader) = &mut role {
            leader.publish(&sample);
        }
        self.publish(sample, wishes);
        role
    }

    /// Hears what followers have to say, without waiting for it.
    fn attend(&mut self, leader: &mut Leader) {
        let descriptors: Vec<BorrowedFd<'_>> = leader.descriptors().collect();
        let ready = sys::wait_readable(&descriptors, Duration::ZERO);
        if ready.is_ok_and(|ready| ready.contains(&true)) {
            let latest = self.shared.subscribers.latest();
            if leader.attend(latest.as_deref()) {
                self.schedule.wish();
            }
        }
    }

    /// Waits for the next look, or until followers have something to say.
    fn wait_leading(&self, role: &Role, limit: Duration) {
        match role {
            Role::Leader(leader) => {
                let descriptors: Vec<BorrowedFd<'_>> = leader.descriptors().collect();
                self.wait(&descriptors, limit);
            }
            Role::Alone {
                silent: Some(link), ..
            } => {
                self.wait(&[link.descriptor()], limit);
            }
            Role::Alone { silent: None, .. } | Role::Follower { .. } => {
                self.wait(&[], limit);
            }
        }
    }

    /// Adds what only this process wants to know, and hands the sample on.
    fn publish(&mut self, mut sample: Sample, wishes: &Wishes) {
        if sample.detail == Detail::Full || self.asked != wishes.processes {
            let mut pids: Vec<u32> = wishes.processes.iter().copied().collect();
            let own = std::process::id();
            pids.sort_by_key(|pid| (*pid != own, *pid));
            self.seen = self.processes.read(&pids, sample.at);
            self.asked.clone_from(&wishes.processes);
        }
        sample.processes.clone_from(&self.seen);
        self.shared.subscribers.publish(&Arc::new(sample));
    }
}

#[cfg(test)]
mod tests;
