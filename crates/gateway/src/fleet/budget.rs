//! Who may be loaded, and who goes for it.

use std::time::Instant;

/// What one model holds of the budget.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holding {
    /// Its place among the models.
    pub(super) member: usize,
    /// Bytes.
    pub(super) bytes: u64,
    pub(super) standing: Standing,
}

/// Whether what a model holds can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is being loaded.
    Loading,
    /// It is being unloaded, or will be when its last request is done.
    Leaving,
    /// It is loaded and stays.
    Kept,
    /// It is loaded and was asked last at this time; some of its requests may be in flight.
    Free { busy: bool, last_used: Instant },
}

/// What is to happen before a model can be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing: there is room.
    Go,
    /// This one is to go; if it is busy, when its requests are done.
    Unload(usize),
    /// Something that is under way is to end.
    Wait,
    /// There will never be room.
    Never { reason: String },
}

/// Whether so many bytes can be had beside what the others hold. Who was asked longest ago goes
/// first, and of two whoever is idle.
pub(super) fn decide(budget: Option<u64>, need: u64, others: &[Holding]) -> Decision {
    let Some(budget) = budget else {
        return Decision::Go;
    };
    if need > budget {
        return Decision::Never {
            reason: format!("it needs {need} bytes and the memory budget is {budget}"),
        };
    }
    let sum = |counts: fn(Standing) -> bool| -> u64 {
        let counted = others.iter().filter(|holding| counts(holding.standing));
        counted.map(|holding| holding.bytes).sum()
    };
    if sum(|_| true).saturating_add(need) <= budget {
        return Decision::Go;
    }
    if sum(|standing| standing != Standing::Leaving).saturating_add(need) <= budget {
        return Decision::Wait;
    }
    let free = others.iter().filter_map(|holding| match holding.standing {
        Standing::Free { busy, last_used } => Some((busy, last_used, holding.member)),
        _ => None,
    });
    if let Some((_, _, member)) = free.min() {
        return Decision::Unload(member);
    }
    let kept = sum(|standing| standing == Standing::Kept);
    if kept.saturating_add(need) > budget {
        return Decision::Never {
            reason: format!(
                "it needs {need} bytes, and pinned models hold {kept} of the memory budget of \
                 {budget}"
            ),
        };
    }
    Decision::Wait
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::OnceLock;
    use std::time::Duration;

    fn holding(member: usize, bytes: u64, standing: Standing) -> Holding {
        Holding {
            member,
            bytes,
            standing,
        }
    }

    fn origin() -> Instant {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        *ORIGIN.get_or_init(Instant::now)
    }

    fn free(busy: bool, age: u64) -> Standing {
        Standing::Free {
            busy,
            last_used: origin() + Duration::from_secs(1000 - age),
        }
    }

    #[test]
    fn without_a_budget_everything_goes() {
        let others = [holding(0, u64::MAX, Standing::Kept)];
        assert_eq!(decide(None, u64::MAX, &others), Decision::Go);
    }

    #[test]
    fn the_idle_one_that_was_asked_longest_ago_goes_first() {
        let others = [
            holding(0, 40, free(true, 90)),
            holding(1, 40, free(false, 10)),
            holding(2, 20, free(false, 50)),
        ];
        assert_eq!(decide(Some(150), 40, &others), Decision::Go);
        assert_eq!(decide(Some(100), 40, &others), Decision::Unload(2));
        assert_eq!(decide(Some(100), 40, &others[..2]), Decision::Unload(1));
        assert_eq!(decide(Some(60), 40, &others[..1]), Decision::Unload(0));
    }

    #[test]
    fn what_leaves_or_loads_is_waited_for() {
        let leaving = [holding(0, 80, Standing::Leaving)];
        assert_eq!(decide(Some(100), 40, &leaving), Decision::Wait);
        let loading = [holding(0, 80, Standing::Loading)];
        assert_eq!(decide(Some(100), 40, &loading), Decision::Wait);
        // One that leaves is not enough.
        let both = [
            holding(0, 30, Standing::Leaving),
            holding(1, 70, free(false, 1)),
        ];
        assert_eq!(decide(Some(100), 40, &both), Decision::Unload(1));
    }

    #[test]
    fn what_cannot_be_is_told() {
        let never = |decision| matches!(decision, Decision::Never { .. });
        assert!(never(decide(Some(100), 101, &[])));
        let pinned = [
            holding(0, 80, Standing::Kept),
            holding(1, 10, Standing::Loading),
        ];
        assert!(never(decide(Some(100), 40, &pinned)));
    }
}
