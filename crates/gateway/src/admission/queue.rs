//! Who is next: a queue for each model, fair between keys.
//!
//! Fairness is start-time fair queuing. Each key's requests are laid end to end on a line of
//! tokens, each beginning where the key's last one ended, but never before what is being served
//! now. Whatever begins earliest is next. A key that asks for much is far along the line and waits
//! for those who asked for little; one that pauses saves nothing up.

use std::collections::{BTreeMap, VecDeque};

/// Whose request it is.
pub(super) type Flow = u64;

/// One model's queue. `T` is what wakes a request that waits.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// Requests that are worked on at a time; `None`: not known, so any number.
    slots: Option<usize>,
    running: usize,
    /// Where on the line the request began that was let in last.
    clock: u64,
    flows: BTreeMap<Flow, Line<T>>,
    waiting: usize,
}

#[derive(Debug)]
struct Line<T> {
    /// Where the last request of this key ends.
    end: u64,
    waiting: VecDeque<Ticket<T>>,
}

#[derive(Debug)]
struct Ticket<T> {
    number: u64,
    start: u64,
    tokens: u64,
    wake: T,
}

impl<T> Line<T> {
    /// Takes the request at this place out. Those behind it move up: it took nothing of the server.
    fn take_out(&mut self, place: usize, clock: u64) -> Option<Ticket<T>> {
        let gone = self.waiting.remove(place)?;
        let earlier = |at: u64| at.saturating_sub(gone.tokens).max(clock);
        for ticket in self.waiting.iter_mut().skip(place) {
            ticket.start = earlier(ticket.start);
        }
        self.end = earlier(self.end);
        Some(gone)
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            slots: None,
            running: 0,
            clock: 0,
            flows: BTreeMap::new(),
            waiting: 0,
        }
    }
}

impl<T> Queue<T> {
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    pub(super) fn slots(&self) -> Option<usize> {
        self.slots
    }

    pub(super) fn set_slots(&mut self, slots: usize) {
        self.slots = Some(slots.max(1));
    }

    /// Takes a slot at once, if one is free and nobody waits for it.
    pub(super) fn take(&mut self, flow: Flow, tokens: u64) -> bool {
        if self.waiting > 0 || !self.is_free() {
            return false;
        }
        let start = self.lay(flow, tokens);
        self.clock = self.clock.max(start);
        self.running += 1;
        true
    }

    /// Takes a place in the queue.
    pub(super) fn wait(&mut self, flow: Flow, tokens: u64, number: u64, wake: T) {
        let start = self.lay(flow, tokens);
        let ticket = Ticket {
            number,
            start,
            tokens: tokens.max(1),
            wake,
        };
        if let Some(line) = self.flows.get_mut(&flow) {
            line.waiting.push_back(ticket);
            self.waiting += 1;
        }
    }

    /// Gives a place in the queue up; false if it was called meanwhile.
    pub(super) fn leave(&mut self, flow: Flow, number: u64) -> bool {
        let Some(line) = self.flows.get_mut(&flow) else {
            return false;
        };
        let mut waiting = line.waiting.iter();
        let place = waiting.position(|ticket| ticket.number == number);
        let left = place.and_then(|place| line.take_out(place, self.clock));
        self.waiting -= usize::from(left.is_some());
        left.is_some()
    }

    /// The next one, if a slot is free; it has the slot then.
    pub(super) fn next(&mut self) -> Option<T> {
        if !self.is_free() {
            return None;
        }
        let head = |line: &Line<T>| line.waiting.front().map(|ticket| ticket.start);
        let (_, line) = self
            .flows
            .iter_mut()
            .filter(|(_, line)| !line.waiting.is_empty())
            .min_by_key(|(_, line)| head(line))?;
        let ticket = line.waiting.pop_front()?;
        self.waiting -= 1;
        self.running += 1;
        self.clock = self.clock.max(ticket.start);
        Some(ticket.wake)
    }

    /// A slot is free again; how many tokens more or less it took than was thought.
    pub(super) fn done(&mut self, flow: Flow, thought: u64, took: u64) {
        self.running = self.running.saturating_sub(1);
        if let Some(line) = self.flows.get_mut(&flow) {
            line.end = line
                .end
                .saturating_add(took)
                .saturating_sub(thought)
                .max(self.clock);
        }
        // A key that is not ahead of the others has nothing to be remembered for.
        let clock = self.clock;
        self.flows
            .retain(|_, line| !line.waiting.is_empty() || line.end > clock);
        if self.running == 0 && self.waiting == 0 {
            self.flows.clear();
            self.clock = 0;
        }
    }

    /// How many of this key wait.
    pub(super) fn waiting_of(&self, flow: Flow) -> usize {
        self.flows.get(&flow).map_or(0, |line| line.waiting.len())
    }

    /// The key with the most requests that wait, and their number.
    pub(super) fn longest(&self) -> Option<(Flow, usize)> {
        let lengths = self.flows.iter();
        lengths
            .map(|(flow, line)| (*flow, line.waiting.len()))
            .max_by_key(|(_, length)| *length)
    }

    /// Takes a key's newest request out of the queue.
    pub(super) fn give_up(&mut self, flow: Flow) -> Option<T> {
        let line = self.flows.get_mut(&flow)?;
        let ticket = line.take_out(line.waiting.len().checked_sub(1)?, self.clock)?;
        self.waiting -= 1;
        Some(ticket.wake)
    }

    fn is_free(&self) -> bool {
        self.slots.is_none_or(|slots| self.running < slots)
    }

    /// Lays a request on the line; where it begins.
    fn lay(&mut self, flow: Flow, tokens: u64) -> u64 {
        let clock = self.clock;
        let line = self.flows.entry(flow).or_insert_with(|| Line {
            end: clock,
            waiting: VecDeque::new(),
        });
        let start = line.end.max(clock);
        line.end = start.saturating_add(tokens.max(1));
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(slots: usize) -> Queue<&'static str> {
        let mut queue = Queue::default();
        queue.set_slots(slots);
        queue
    }

    #[test]
    fn a_key_with_many_requests_does_not_hold_up_one_with_few() {
        let mut queue = queue(1);
        assert!(queue.take(1, 10));
        for (number, name) in (1..).zip(["a1", "a2", "a3"]) {
            queue.wait(1, 10, number, name);
        }
        queue.wait(2, 10, 4, "b1");
        queue.wait(2, 10, 5, "b2");
        let mut order = Vec::new();
        for _ in 0..5 {
            queue.done(1, 10, 10);
            order.extend(queue.next());
        }
        assert_eq!(order, ["b1", "a1", "b2", "a2", "a3"]);
    }

    #[test]
    fn who_takes_more_tokens_is_called_less_often() {
        let mut queue = queue(1);
        assert!(queue.take(9, 1));
        for number in 0..8 {
            queue.wait(1, 400, number, "big");
            queue.wait(2, 100, 100 + number, "small");
        }
        let mut called = Vec::new();
        for _ in 0..5 {
            queue.done(9, 1, 1);
            called.extend(queue.next());
        }
        assert_eq!(called.iter().filter(|name| **name == "small").count(), 4);
    }

    #[test]
    fn nobody_passes_those_who_wait_and_a_place_can_be_left() {
        let mut queue = queue(2);
        assert!(queue.take(1, 1) && queue.take(1, 1) && !queue.take(2, 1));
        queue.wait(1, 1, 1, "a");
        assert!(queue.next().is_none());
        queue.done(1, 1, 1);
        assert!(!queue.take(2, 1));
        assert!(queue.leave(1, 1) && !queue.leave(1, 1));
        assert!(queue.take(2, 1));
        assert_eq!((queue.running(), queue.waiting()), (2, 0));
    }

    #[test]
    fn what_was_used_counts_and_not_what_was_thought() {
        let mut queue = queue(1);
        assert!(queue.take(1, 10));
        queue.wait(3, 1, 0, "c");
        queue.done(1, 10, 1000);
        assert_eq!(queue.next(), Some("c"));
        queue.wait(1, 10, 1, "a");
        queue.wait(2, 500, 2, "b");
        queue.done(3, 1, 1);
        assert_eq!(queue.next(), Some("b"));
    }

    #[test]
    fn who_leaves_has_taken_nothing() {
        let mut queue = queue(1);
        assert!(queue.take(9, 1));
        queue.wait(1, 1000, 1, "a1");
        queue.wait(1, 1000, 2, "a2");
        queue.wait(1, 10, 3, "a3");
        queue.wait(2, 100, 4, "b1");
        queue.wait(2, 100, 5, "b2");
        // One leaves by itself, one is sent away; the one behind moves up.
        assert!(queue.leave(1, 1));
        queue.wait(1, 1000, 6, "a4");
        assert_eq!(queue.give_up(1), Some("a4"));
        assert!(queue.leave(1, 2));
        let mut order = Vec::new();
        for _ in 0..3 {
            queue.done(9, 1, 1);
            order.extend(queue.next());
        }
        assert_eq!(order, ["a3", "b1", "b2"]);
    }

    #[test]
    fn a_queue_of_unknown_slots_holds_nobody_up() {
        let mut queue = Queue::<()>::default();
        assert!((0..100).all(|flow| queue.take(flow, 1)));
        for flow in 0..100 {
            queue.done(flow, 1, 1);
        }
        assert_eq!(queue.running(), 0);
        assert!(queue.flows.is_empty());
    }
}
