//! From comparisons to a question to the store: what is known of a row before it is read.
//!
//! A question so narrowed finds every row that meets the comparisons, and may find more: SQLite
//! compares once more what it gets.

use crate::value::{Value, unhex};
use crate::view::Narrows;
use llamatelemetry_store::{Condition, Literal, Query};
use std::ops::Range;

/// Whether comparisons narrow what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pushdown {
    /// They do.
    #[default]
    On,
    /// Everything is read and compared: slow, and what the other way is held to in tests.
    Off,
}

/// How a column is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Narrows {
    /// Whether a comparison of this kind narrows anything.
    pub(crate) const fn by(self, operator: Operator) -> bool {
        match self {
            Self::Nothing => false,
            Self::Time | Self::Duration => true,
            Self::Severity => !matches!(operator, Operator::Less | Operator::AtMost),
            _ => matches!(operator, Operator::Equal),
        }
    }
}

/// A question that comparisons are added to.
#[derive(Debug, Default)]
pub(crate) struct Narrowing {
    conditions: Vec<Condition>,
    time: Option<Range<u64>>,
    key: Option<String>,
    value: Option<Value>,
    /// No row can meet what was added.
    nothing: bool,
}

impl Narrowing {
    /// Adds that a column compares so with a value.
    pub(crate) fn add(&mut self, narrows: Narrows, operator: Operator, value: &Value) {
        // Nothing compares with what is not known.
        if *value == Value::Null {
            self.nothing = true;
            return;
        }
        match (narrows, value) {
            (Narrows::Time, Value::Integer(_) | Value::Real(_)) => {
                let range = range(operator, value);
                let time = self.time.take().unwrap_or(0..u64::MAX);
                let both = time.start.max(range.start)..time.end.min(range.end);
                self.nothing |= both.is_empty();
                self.time = Some(both);
            }
            (Narrows::Duration, Value::Integer(_) | Value::Real(_)) => {
                let range = range(operator, value);
                self.nothing |= range.is_empty();
                if range.start > 0 {
                    self.conditions.push(Condition::LongerThan(range.start));
                }
                if range.end < u64::MAX {
                    self.conditions.push(Condition::ShorterThan(range.end));
                }
            }
            (Narrows::Severity, Value::Integer(_)) => {
                let least = range(operator, value).start;
                self.conditions.push(Condition::Severity(least));
            }
            (Narrows::Trace, Value::Text(id)) => self.id(unhex(id).map(Condition::Trace)),
            (Narrows::Span, Value::Text(id)) => self.id(unhex(id).map(Condition::Span)),
            (Narrows::Name, Value::Text(name)) => {
                self.conditions.push(Condition::Name(name.to_string()));
            }
            (Narrows::Service, Value::Text(name)) => {
                self.conditions.push(Condition::Service(name.to_string()));
            }
            (Narrows::Status, Value::Text(status)) => match &**status {
                "error" => self.conditions.push(Condition::Failed(true)),
                "ok" | "unset" => self.conditions.push(Condition::Failed(false)),
                _ => self.nothing = true,
            },
            (Narrows::Attribute(key), Value::Text(_) | Value::Integer(_))
            | (Narrows::Number(key), Value::Integer(_)) => {
                self.conditions.extend(equal(key, value));
            }
            (Narrows::Key, Value::Text(key)) => {
                self.key.get_or_insert_with(|| key.to_string());
            }
            (Narrows::Value, value) => {
                self.value.get_or_insert_with(|| value.clone());
            }
            // Compared by SQLite's rules, which may make one type of another.
            _ => {}
        }
    }

    /// The question to the store; `None` where no row can meet it.
    pub(crate) fn finish(mut self) -> Option<Query> {
        if let Some(key) = self.key {
            let value = self.value.as_ref().filter(|value| is_plain(value));
            let equal = value.and_then(|value| equal(&key, value));
            self.conditions.push(equal.unwrap_or(Condition::Has(key)));
        }
        (!self.nothing).then_some(Query {
            time: self.time,
            conditions: self.conditions,
            limit: None,
        })
    }

    fn id(&mut self, condition: Option<Condition>) {
        // What is no id is no row's.
        self.nothing |= condition.is_none();
        self.conditions.extend(condition);
    }
}

fn equal(key: &str, value: &Value) -> Option<Condition> {
    let literal = match value {
        Value::Text(text) => text.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Null | Value::Blob(_) => return None,
    };
    Some(Condition::Attribute(key.to_owned(), Literal(literal)))
}

/// Whether a value of `value` stands only for attributes that are texts or numbers: the store does
/// not look for lists and maps by their JSON, nor for truth by 0 and 1, and -0 equals 0.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Text(text) => !text.starts_with(['[', '{']),
        Value::Integer(number) => !(0..=1).contains(number) && number.unsigned_abs() < 1 << 53,
        Value::Real(number) => !(0.0..=1.0).contains(number) && number.abs() < 9e15,
        Value::Null | Value::Blob(_) => false,
    }
}

/// Every whole number that compares so with a value, and perhaps its neighbours.
fn range(operator: Operator, value: &Value) -> Range<u64> {
    let (below, above) = match value {
        Value::Integer(number) => (*number, *number),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what is too large becomes the largest, which finds no less"
        )]
        Value::Real(number) => (number.floor() as i64, number.ceil() as i64),
        _ => return 0..u64::MAX,
    };
    // `i64::MAX` may stand for any larger number.
    let from = |number: i64| u64::try_from(number).unwrap_or(0);
    let to = |number: i64| match number {
        i64::MAX => u64::MAX,
        number => u64::try_from(number).unwrap_or(0),
    };
    match operator {
        Operator::Equal => from(below)..to(above.saturating_add(1)),
        Operator::Less => 0..to(above),
        Operator::AtMost => 0..to(above.saturating_add(1)),
        Operator::Greater | Operator::AtLeast => from(below)..u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrowed(all: &[(Narrows, Operator, Value)]) -> Option<Query> {
        let mut narrowing = Narrowing::default();
        for (narrows, operator, value) in all {
            narrowing.add(*narrows, *operator, value);
        }
        narrowing.finish()
    }

    #[test]
    fn ranges_hold_what_compares_so() {
        let number = Value::Integer(5);
        assert_eq!(range(Operator::Equal, &number), 5..6);
        assert_eq!(range(Operator::Less, &number), 0..5);
        assert_eq!(range(Operator::AtMost, &number), 0..6);
        assert_eq!(range(Operator::AtLeast, &number), 5..u64::MAX);
        assert_eq!(range(Operator::AtMost, &Value::Real(5.5)), 0..7);
        assert_eq!(range(Operator::AtLeast, &Value::Real(5.5)), 5..u64::MAX);
        assert_eq!(range(Operator::AtLeast, &Value::Integer(-5)), 0..u64::MAX);
        assert!(range(Operator::Equal, &Value::Integer(-5)).is_empty());
        assert_eq!(
            range(Operator::AtMost, &Value::Integer(i64::MAX)),
            0..u64::MAX
        );
        assert_eq!(range(Operator::Less, &Value::Real(1e300)), 0..u64::MAX);
    }

    #[test]
    fn what_no_row_can_meet_is_known() {
        let text = |text: &str| Value::Text(text.into());
        let trace = (Narrows::Trace, Operator::Equal, text("no id"));
        assert_eq!(narrowed(&[trace]), None);
        let null = (Narrows::Name, Operator::Equal, Value::Null);
        assert_eq!(narrowed(&[null]), None);
        let from = (Narrows::Time, Operator::AtLeast, Value::Integer(9));
        let to = (Narrows::Time, Operator::Less, Value::Integer(9));
        assert_eq!(narrowed(&[from, to]), None);
    }

    #[test]
    fn a_key_and_a_value_are_one_condition() {
        let key = (Narrows::Key, Operator::Equal, Value::Text("k".into()));
        for (value, expected) in [
            (
                Value::Text("v".into()),
                Condition::Attribute("k".into(), Literal("v".into())),
            ),
            (
                Value::Integer(48),
                Condition::Attribute("k".into(), Literal("48".into())),
            ),
            (Value::Integer(1), Condition::Has("k".into())),
            (Value::Text("[1]".into()), Condition::Has("k".into())),
        ] {
            let value = (Narrows::Value, Operator::Equal, value);
            let query = narrowed(&[value, key.clone()]).unwrap();
            assert_eq!(query.conditions, [expected]);
        }
    }
}
