//! What a log line tells of a slot and of the request it works on.

/// A log line about a slot: `slot FUNCTION: id  0 | task 17 | …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotLine {
    /// The slot's number.
    pub slot: u32,
    /// The server's number for the request; `None` while the slot has none.
    pub task: Option<i64>,
    /// What it tells; `None` for anything that is not known here.
    pub event: Option<SlotEvent>,
}

/// Something that happened to a request in its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotEvent {
    /// The slot began to work on the request.
    Launched,
    /// The slot works on it no longer.
    Released {
        /// Tokens of prompt and answer that its context held then.
        tokens: Option<u64>,
    },
    /// The context was full: so many of its tokens were thrown away, if the line says so.
    ContextShift {
        /// Tokens thrown away.
        discarded: Option<u64>,
    },
    /// A saved state of the context was used. llama-server tells of it from verbosity 4 on.
    CheckpointRestored,
    /// How many drafted tokens were accepted over the whole answer.
    DraftAcceptance {
        /// Tokens drafted.
        drafted: u64,
        /// Drafted tokens that were accepted.
        accepted: u64,
    },
}

impl SlotLine {
    /// Reads a line. `None` for lines that are not about a slot; a form that is not known is
    /// never taken for another.
    pub fn read(text: &str) -> Option<Self> {
        let (function, rest) = text.strip_prefix("slot ")?.split_once(": id ")?;
        let (slot, rest) = rest.split_once(" | task ")?;
        let (task, said) = rest.split_once(" | ")?;
        let task: i64 = task.trim().parse().ok()?;
        Some(Self {
            slot: slot.trim().parse().ok()?,
            task: (task >= 0).then_some(task),
            event: event(function.trim(), said),
        })
    }
}

fn event(function: &str, said: &str) -> Option<SlotEvent> {
    if function == "launch_slot_" && said.starts_with("processing task") {
        Some(SlotEvent::Launched)
    } else if let Some(figures) = said.strip_prefix("stop processing") {
        let tokens = figures.split_once("n_tokens = ");
        let tokens = tokens.and_then(|(_, rest)| rest.split(',').next());
        Some(SlotEvent::Released {
            tokens: tokens.and_then(|number| number.trim().parse().ok()),
        })
    } else if let Some(figures) = said.strip_prefix("slot context shift") {
        let discarded = figures.split_once("n_discard = ");
        Some(SlotEvent::ContextShift {
            discarded: discarded.and_then(|(_, number)| number.trim().parse().ok()),
        })
    } else if said.starts_with("restored context checkpoint") {
        Some(SlotEvent::CheckpointRestored)
    } else if said.starts_with("draft acceptance") {
        let (accepted, rest) = said.split_once('(')?.1.split_once(" accepted /")?;
        let (drafted, _) = rest.split_once(" generated")?;
        Some(SlotEvent::DraftAcceptance {
            drafted: drafted.trim().parse().ok()?,
            accepted: accepted.trim().parse().ok()?,
        })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<(u32, Option<i64>, Option<SlotEvent>)> {
        SlotLine::read(text).map(|line| (line.slot, line.task, line.event))
    }

    #[test]
    fn lines_of_builds_seen_are_read() {
        let lines = [
            (
                "slot launch_slot_: id  3 | task 0 | processing task, is_child = 0",
                (3, Some(0), Some(SlotEvent::Launched)),
            ),
            (
                "slot launch_slot_: id  0 | task 17 | processing task",
                (0, Some(17), Some(SlotEvent::Launched)),
            ),
            (
                "slot      release: id  0 | task 17 | stop processing: n_tokens = 57, truncated = 0",
                (0, Some(17), Some(SlotEvent::Released { tokens: Some(57) })),
            ),
            (
                "slot   operator(): id  0 | task 4 | slot context shift, n_keep = 0, n_left = 255, \
                 n_discard = 127",
                (
                    0,
                    Some(4),
                    Some(SlotEvent::ContextShift {
                        discarded: Some(127),
                    }),
                ),
            ),
            (
                "slot update_slots: id  1 | task 9 | restored context checkpoint (pos_min = 0, \
                 pos_max = 511, n_tokens = 512, n_past = 512, size = 9.1 MiB)",
                (1, Some(9), Some(SlotEvent::CheckpointRestored)),
            ),
            (
                "slot print_timing: id  0 | task 401 | draft acceptance = 0.57143 (    8 accepted / \
                    14 generated), mean len =  2.33",
                (
                    0,
                    Some(401),
                    Some(SlotEvent::DraftAcceptance {
                        drafted: 14,
                        accepted: 8,
                    }),
                ),
            ),
            (
                "slot print_timing: id  0 | task 1 | draft acceptance rate = 0.50000 (    1 \
                 accepted /     2 generated)",
                (
                    0,
                    Some(1),
                    Some(SlotEvent::DraftAcceptance {
                        drafted: 2,
                        accepted: 1,
                    }),
                ),
            ),
            (
                "slot get_availabl: id  0 | task -1 | selected slot by LRU, t_last = -1",
                (0, None, None),
            ),
            (
                "slot      release: id  3 | task 0 | stop processing: n_tokens = 165, truncated = 0",
                (3, Some(0), Some(SlotEvent::Released { tokens: Some(165) })),
            ),
        ];
        for (text, expected) in lines {
            assert_eq!(told(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for text in [
            "",
            "srv  log_server_r: done request: slot launch_slot_: id  3 | task 0 | processing task",
            "launch_slot_: processing task id x",
            "slot launch_slot_: id x | task 0 | processing task",
            "slot launch_slot_: id 99999999999 | task 0 | processing task",
            "slot launch_slot_: id  3 | task | processing task",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
        for said in [
            "processing task",
            "draft acceptance = much",
            "draft acceptance = 1 (-1 accepted / 3 generated)",
            "the prompt said: slot context shift, n_discard = 3",
        ] {
            let line = format!("slot other: id  0 | task 1 | {said}");
            assert_eq!(told(&line), Some((0, Some(1), None)), "{said}");
        }
        let shifted = "slot pre_decode: id  0 | task 1 | slot context shift";
        let event = SlotEvent::ContextShift { discarded: None };
        assert_eq!(told(shifted), Some((0, Some(1), Some(event))));
    }
}
