//! Samples on their way to whoever wants them.

use super::sample::Sample;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Samples that wait for a slow subscriber: six seconds of them under load.
const CAPACITY: usize = 64;

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Arc<Sample>>,
    lost: u64,
    closed: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Samples as they come. One that is read too slowly loses the oldest, and counts them.
#[derive(Debug)]
pub struct Subscription {
    queue: Arc<Queue>,
}

impl Subscription {
    /// The next sample, waited for. `None` once the sampler has stopped.
    pub fn recv(&self) -> Option<Arc<Sample>> {
        let mut state = self.queue.state();
        loop {
            if let Some(sample) = state.waiting.pop_front() {
                return Some(sample);
            }
            if state.closed {
                return None;
            }
            state = self
                .queue
                .arrived
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next sample if it comes within the limit.
    pub fn recv_timeout(&self, limit: Duration) -> Option<Arc<Sample>> {
        let Some(deadline) = Instant::now().checked_add(limit) else {
            // Longer than the clock can tell is for ever.
            return self.recv();
        };
        let mut state = self.queue.state();
        loop {
            if let Some(sample) = state.waiting.pop_front() {
                return Some(sample);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                return None;
            }
            state = self
                .queue
                .arrived
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The next sample if it is there.
    pub fn try_recv(&self) -> Option<Arc<Sample>> {
        self.queue.state().waiting.pop_front()
    }

    /// Samples that were lost because they were not taken in time.
    pub fn lost(&self) -> u64 {
        self.queue.state().lost
    }
}

/// Everybody who subscribed.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    state: Mutex<Everybody>,
}

#[derive(Debug, Default)]
struct Everybody {
    queues: Vec<Weak<Queue>>,
    latest: Option<Arc<Sample>>,
    closed: bool,
}

impl Subscribers {
    fn state(&self) -> MutexGuard<'_, Everybody> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A subscription from the latest sample on.
    pub(super) fn add(&self) -> Subscription {
        let queue = Arc::new(Queue::default());
        let mut everybody = self.state();
        {
            let mut state = queue.state();
            state.closed = everybody.closed;
            if !everybody.closed {
                state.waiting.extend(everybody.latest.clone());
            }
        }
        everybody.queues.push(Arc::downgrade(&queue));
        Subscription { queue }
    }

    /// The sample that was published last.
    pub(super) fn latest(&self) -> Option<Arc<Sample>> {
        self.state().latest.clone()
    }

    pub(super) fn publish(&self, sample: &Arc<Sample>) {
        let mut everybody = self.state();
        everybody.latest = Some(Arc::clone(sample));
        everybody.queues.retain(|queue| {
            let Some(queue) = queue.upgrade() else {
                return false;
            };
            let mut state = queue.state();
            if state.waiting.len() == CAPACITY {
                state.waiting.pop_front();
                state.lost += 1;
            }
            state.waiting.push_back(Arc::clone(sample));
            queue.arrived.notify_one();
            true
        });
    }

    /// No further sample will come.
    pub(super) fn close(&self) {
        let mut everybody = self.state();
        everybody.closed = true;
        for queue in everybody
            .queues
            .drain(..)
            .filter_map(|queue| queue.upgrade())
        {
            queue.state().closed = true;
            queue.arrived.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::reader::Reader;
    use crate::sampler::sample::Detail;
    use std::path::Path;

    fn sample() -> Arc<Sample> {
        Arc::new(Reader::new(Vec::new(), Vec::new(), Path::new("/nowhere")).look(Detail::Full))
    }

    #[test]
    fn a_slow_one_loses_the_oldest_and_a_quick_one_nothing() {
        let subscribers = Subscribers::default();
        let (slow, quick) = (subscribers.add(), subscribers.add());
        let samples: Vec<_> = (0..CAPACITY + 3).map(|_| sample()).collect();
        for one in &samples {
            subscribers.publish(one);
            assert!(Arc::ptr_eq(&quick.try_recv().unwrap(), one));
        }
        assert_eq!((slow.lost(), quick.lost()), (3, 0));
        assert!(Arc::ptr_eq(&slow.recv().unwrap(), &samples[3]));
        assert!(Arc::ptr_eq(
            &subscribers.latest().unwrap(),
            samples.last().unwrap()
        ));
    }

    #[test]
    fn the_end_comes_after_what_was_sent() {
        let subscribers = Subscribers::default();
        let subscription = subscribers.add();
        subscribers.publish(&sample());
        subscribers.close();
        assert!(subscription.recv_timeout(Duration::MAX).is_some());
        assert!(subscription.recv().is_none());
        assert!(subscription.recv_timeout(Duration::from_secs(60)).is_none());
        assert!(subscription.recv_timeout(Duration::MAX).is_none());
        assert!(subscribers.add().recv().is_none());
    }
}
