//! How SQLite reads a table, decided when a question is prepared and told to the cursor later.

use crate::pushdown::Operator;
use crate::scan::Order;
use std::fmt;

/// What is compared before rows are read, their order, and the columns that are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// A bit for each column.
    pub(super) wanted: u64,
    pub(super) order: Option<Order>,
    /// Columns and how they are compared, in the order of the values.
    pub(super) comparisons: Vec<(usize, Operator)>,
}

const OPERATORS: [(Operator, &str); 5] = [
    (Operator::Equal, "="),
    (Operator::Less, "<"),
    (Operator::AtMost, "<="),
    (Operator::Greater, ">"),
    (Operator::AtLeast, ">="),
];

/// As `EXPLAIN QUERY PLAN` shows it: `7f falling 5>= 11=`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match self.order {
            None => "any",
            Some(Order::Rising) => "rising",
            Some(Order::Falling) => "falling",
        };
        write!(f, "{:x} {order}", self.wanted)?;
        for (column, operator) in &self.comparisons {
            let sign = OPERATORS.iter().find(|(one, _)| one == operator);
            write!(f, " {column}{}", sign.map_or("", |(_, sign)| sign))?;
        }
        Ok(())
    }
}

impl Plan {
    /// Reads what was written.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let wanted = u64::from_str_radix(words.next()?, 16).ok()?;
        let order = match words.next()? {
            "any" => None,
            "rising" => Some(Order::Rising),
            "falling" => Some(Order::Falling),
            _ => return None,
        };
        let comparisons = words
            .map(|word| {
                let digits = word.find(|letter: char| !letter.is_ascii_digit())?;
                let (column, sign) = word.split_at(digits);
                let (operator, _) = OPERATORS.iter().find(|(_, one)| *one == sign)?;
                Some((column.parse().ok()?, *operator))
            })
            .collect::<Option<_>>()?;
        Some(Self {
            wanted,
            order,
            comparisons,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_survive() {
        let plan = Plan {
            wanted: u64::MAX,
            order: Some(Order::Falling),
            comparisons: OPERATORS
                .iter()
                .map(|(operator, _)| (12, *operator))
                .collect(),
        };
        assert_eq!(Plan::read(&plan.to_string()), Some(plan));
        assert_eq!(
            Plan::read(&Plan::default().to_string()),
            Some(Plan::default())
        );
        assert_eq!(Plan::read("1 any 5!"), None);
    }
}
