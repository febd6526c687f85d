//! Unloads what nobody asks, and what has grown beyond the budget.

use super::Fleet;
use super::budget::{self, Decision, Holding, Standing};
use super::member::Phase;
use llamatelemetry::UnloadReason;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// What models take is measured so often where there is a budget.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// Where nothing is due it looks up so often.
const LOOK_UP: Duration = Duration::from_secs(3600);

/// Keeps house until the fleet is gone.
pub(super) async fn keep(fleet: Weak<Fleet>) {
    let mut measured = Instant::now();
    loop {
        let (mut changes, wake) = {
            let Some(fleet) = fleet.upgrade() else {
                return;
            };
            let mut changes = fleet.changed.subscribe();
            changes.borrow_and_update();
            let has_budget = fleet.options.settings.serve.memory_budget.is_some();
            if has_budget && measured.elapsed() >= MEASURE_EVERY {
                fleet.keep_to_budget().await;
                measured = Instant::now();
            }
            let mut wake = fleet.unload_expired();
            if has_budget {
                wake = wake.min(measured + MEASURE_EVERY);
            }
            (changes, wake)
        };
        // Nothing is lost when it is cut short: it looks at everything again.
        drop(tokio::time::timeout_at(wake.into(), changes.changed()).await);
    }
}

impl Fleet {
    /// Unloads what nobody asked for long enough; returns when the next one is due.
    fn unload_expired(self: &Arc<Self>) -> Instant {
        let now = Instant::now();
        let mut next = now + LOOK_UP;
        let mut state = self.lock();
        for member in 0..state.members.len() {
            match state.members[member].expires() {
                Some(due) if due <= now => {
                    self.begin_unload(&mut state, member, UnloadReason::Idle);
                }
                Some(due) => next = next.min(due),
                None => {
                    let due = state.members[member].due_at_the_earliest(now);
                    next = next.min(due.unwrap_or(next));
                }
            }
        }
        next
    }

    /// Measures all that is loaded.
    pub(super) async fn measure_loaded(&self) {
        let loaded: Vec<_> = {
            let state = self.lock();
            let members = state.members.iter().enumerate();
            members
                .filter_map(|(place, member)| match &member.phase {
                    Phase::Ready(ready) => Some((place, ready.replicas.clone())),
                    _ => None,
                })
                .collect()
        };
        let meter = self.meter.clone();
        let measuring = tokio::task::spawn_blocking(move || {
            let measured = loaded.iter();
            measured
                .filter_map(|(place, replicas)| Some((*place, meter.measure(replicas)?)))
                .collect::<Vec<_>>()
        });
        let Ok(measured) = measuring.await else {
            return;
        };
        let mut state = self.lock();
        for (member, bytes) in measured {
            state.members[member].measured = Some(bytes);
        }
    }

    /// Measures all that is loaded. Where it has grown beyond the budget, who was asked longest ago
    /// goes, if it is idle.
    async fn keep_to_budget(self: &Arc<Self>) {
        self.measure_loaded().await;
        let mut state = self.lock();
        let budget = self.options.settings.serve.memory_budget;
        let budget = budget.map(|bytes| bytes.0);
        let holdings = state.members.iter().enumerate();
        let holdings: Vec<Holding> = holdings
            .filter_map(|(place, member)| member.holding(place))
            .collect();
        if let Decision::Unload(member) = budget::decide(budget, 0, &holdings) {
            let idle = holdings.iter().any(|holding| {
                holding.member == member
                    && matches!(holding.standing, Standing::Free { busy: false, .. })
            });
            if idle && holdings.len() > 1 {
                self.begin_unload(&mut state, member, UnloadReason::Room);
            }
        }
    }
}
