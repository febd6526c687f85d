//! The nearest known names to a mistyped one.

/// Up to `limit` of the candidates that look like `word`, nearest first. Empty if nothing is
/// close enough that a person could have meant it.
pub fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    limit: usize,
) -> Vec<&'a str> {
    let word = word.to_lowercase();
    // A third of the letters may be wrong, at least one: "ofline" is "offline", "x" is nothing.
    let tolerance = (word.chars().count() / 3).max(1);
    let mut found: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let distance = distance(&word, &lower);
            let contained = word.len() >= 3 && (lower.contains(&word) || word.contains(&lower));
            (distance <= tolerance || contained).then_some((distance, candidate))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.truncate(limit);
    found.into_iter().map(|(_, name)| name).collect()
}

/// Letters to insert, drop, replace or swap with a neighbour to make one word the other
/// (the optimal-string-alignment distance).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous_left = None;
    for (row, letter) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let replace = last[column] + usize::from(letter != *other);
            let mut best = replace.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = column > 0
                && previous_left == Some(*other)
                && right.get(column - 1) == Some(&letter);
            if swapped {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
        previous_left = Some(letter);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_single_slips() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("offilne", "offline"), 1);
    }

    #[test]
    fn a_slip_finds_the_name_and_nonsense_finds_nothing() {
        let names = ["network.offline", "network.connections", "server.port"];
        assert_eq!(nearest("network.ofline", names, 3), ["network.offline"]);
        assert_eq!(nearest("offline", names, 3), ["network.offline"]);
        assert_eq!(nearest("zzz", names, 3), Vec::<&str>::new());
    }
}
