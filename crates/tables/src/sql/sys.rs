//! The views as SQLite's virtual tables.

use super::Shared;
use super::plan::Plan;
use crate::TablesError;
use crate::pushdown::{Narrowing, Operator, Pushdown};
use crate::scan::{OVERLAP, Order, Scan};
use crate::value::Value;
use crate::view::{Narrows, Source, View};
use rusqlite::types::{Null, ValueRef};
use rusqlite::vtab::{
    Context, CreateVTab, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConfig,
    VTabConnection, VTabCursor, VTabKind, sqlite3_vtab, sqlite3_vtab_cursor,
};
use rusqlite::{Connection, Error, Result};
use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};
use std::sync::{Arc, PoisonError};

/// Makes a view known to a connection, by its name.
pub(super) fn create(
    connection: &Connection,
    view: &'static View,
    shared: &Arc<Shared>,
) -> Result<()> {
    const MODULE: Module<'static, Table> = Module::read_only_module();
    let table = Known {
        view,
        shared: shared.clone(),
    };
    connection.create_module(view.name, &MODULE, Some(table))
}

/// What a table is made from.
#[derive(Debug, Clone)]
struct Known {
    view: &'static View,
    shared: Arc<Shared>,
}

#[repr(C)]
struct Table {
    /// SQLite's own part; it must come first.
    base: sqlite3_vtab,
    known: Known,
}

#[repr(C)]
struct Cursor {
    /// SQLite's own part; it must come first.
    base: sqlite3_vtab_cursor,
    known: Known,
    scan: Option<Scan>,
    at_end: bool,
}

// SAFETY: the struct is laid out as in C and begins with SQLite's own part.
unsafe impl VTab<'_> for Table {
    type Aux = Known;
    type Cursor = Cursor;

    fn connect(
        db: &mut VTabConnection,
        known: Option<&Known>,
        _module: &[u8],
        _database: &[u8],
        _table: &[u8],
        _arguments: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        let known = known.ok_or_else(|| Error::ModuleError("a table of no view".to_owned()))?;
        db.config(VTabConfig::DirectOnly)?;
        let columns = known.view.columns.iter();
        let columns: Vec<String> = columns
            .map(|column| format!("{} {}", column.name, column.kind.declared()))
            .collect();
        let declaration = CString::new(format!("CREATE TABLE x({})", columns.join(", ")))?;
        let table = Self {
            base: sqlite3_vtab::default(),
            known: known.clone(),
        };
        Ok((declaration.into(), table))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let Known { view, shared } = &self.known;
        let mut plan = Plan {
            wanted: info.col_used(),
            ..Plan::default()
        };
        let mut cost = Cost::of(&self.known);
        if shared.pushdown == Pushdown::On {
            for (place, column, operator) in comparisons(view, info)? {
                plan.comparisons.push((column, operator));
                cost.narrow(view.columns[column].narrows, operator);
                let argument = c_int::try_from(plan.comparisons.len()).unwrap_or(c_int::MAX);
                info.constraint_usage(place).set_argv_index(argument);
            }
            plan.order = order(&self.known, info);
            info.set_order_by_consumed(plan.order.is_some());
        }
        info.set_idx_str(&plan.to_string());
        info.set_estimated_cost(cost.total());
        info.set_estimated_rows(cost.rows());
        Ok(true)
    }

    fn open(&mut self) -> Result<Cursor> {
        Ok(Cursor {
            base: sqlite3_vtab_cursor::default(),
            known: self.known.clone(),
            scan: None,
            at_end: true,
        })
    }
}

impl CreateVTab<'_> for Table {
    const KIND: VTabKind = VTabKind::Default;
}

// SAFETY: the struct is laid out as in C and begins with SQLite's own part.
unsafe impl VTabCursor for Cursor {
    fn filter(&mut self, _: c_int, plan: Option<&str>, values: &Filters<'_>) -> Result<()> {
        let Known { view, shared } = &self.known;
        let plan = plan.and_then(Plan::read);
        let plan = plan.ok_or_else(|| Error::ModuleError("a plan of another".to_owned()))?;
        let mut narrowing = Narrowing::default();
        for ((column, operator), value) in plan.comparisons.iter().zip(values.iter()) {
            narrowing.add(view.columns[*column].narrows, *operator, &known(value));
        }
        let scan = Scan::new(
            view,
            &shared.stored,
            narrowing.finish(),
            plan.order,
            plan.wanted,
        );
        self.scan = Some(scan.map_err(|error| shared.fail(error))?);
        self.next()
    }

    fn next(&mut self) -> Result<()> {
        let shared = &self.known.shared;
        if let Some(scan) = &mut self.scan {
            let found = scan.advance(&shared.stored);
            self.at_end = !found.map_err(|error| shared.fail(error))?;
        }
        Ok(())
    }

    fn eof(&self) -> bool {
        self.at_end
    }

    fn column(&self, context: &mut Context, column: c_int) -> Result<()> {
        let place = usize::try_from(column).unwrap_or(usize::MAX);
        match self.scan.as_ref().map(|scan| scan.cell(place)) {
            None | Some(Value::Null) => context.set_result(Null),
            Some(Value::Integer(number)) => context.set_result(*number),
            Some(Value::Real(number)) => context.set_result(*number),
            Some(Value::Text(text)) => context.set_result(&**text),
            Some(Value::Blob(bytes)) => context.set_result(&**bytes),
        }
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.scan.as_ref().map_or(0, Scan::id))
    }
}

impl Shared {
    /// Keeps why a table failed, and tells SQLite that it did.
    fn fail(&self, error: TablesError) -> Error {
        let words = error.to_string();
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        Error::ModuleError(words)
    }
}

/// A value as views have it.
fn known(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.into()),
            Err(_) => Value::Blob(text.into()),
        },
        ValueRef::Blob(bytes) => Value::Blob(bytes.into()),
    }
}

/// The comparisons that narrow what is read: their place, the column, and how.
fn comparisons(view: &View, info: &IndexInfo) -> Result<Vec<(usize, usize, Operator)>> {
    let mut found = Vec::new();
    for (place, constraint) in info.constraints().enumerate() {
        let operator = match constraint.operator() {
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ => Operator::Equal,
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LT => Operator::Less,
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LE => Operator::AtMost,
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GT => Operator::Greater,
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GE => Operator::AtLeast,
            _ => continue,
        };
        let column = usize::try_from(constraint.column()).ok();
        let Some(column) = column.filter(|column| *column < view.columns.len()) else {
            continue;
        };
        // Under another collation other texts are equal.
        if constraint.is_usable()
            && view.columns[column].narrows.by(operator)
            && info.collation(place)? == "BINARY"
        {
            found.push((place, column, operator));
        }
    }
    Ok(found)
}

/// The order in which rows can be handed out, if that is the one asked for.
fn order(known: &Known, info: &IndexInfo) -> Option<Order> {
    let mut terms = info.order_bys();
    let term = terms.next().filter(|_| info.num_of_order_by() == 1)?;
    let column = usize::try_from(term.column()).ok()?;
    let signal = known.view.source.signal()?;
    let by_time = known.view.columns.get(column)?.narrows == Narrows::Time;
    if !by_time || known.shared.stored.overlap(signal) > OVERLAP {
        return None;
    }
    Some(if term.is_order_by_desc() {
        Order::Falling
    } else {
        Order::Rising
    })
}

/// What reading a table costs, so that SQLite chooses well: about a unit for a row.
struct Cost {
    rows: f64,
    blocks: f64,
}

impl Cost {
    fn of(known: &Known) -> Self {
        let snapshot = &known.shared.stored.snapshot;
        let Some(signal) = known.view.source.signal() else {
            return Self {
                rows: 1_000.0,
                blocks: 1_000.0,
            };
        };
        let each = match known.view.source {
            Source::Parts { .. } => 8.0,
            _ => 1.0,
        };
        Self {
            rows: snapshot.rows(signal) as f64 * each,
            blocks: snapshot.parts(signal).count() as f64,
        }
    }

    fn narrow(&mut self, narrows: Narrows, operator: Operator) {
        self.rows *= match (narrows, operator) {
            (Narrows::Trace, _) => 1e-6,
            (Narrows::Span, _) => 1e-7,
            (Narrows::Attribute(_) | Narrows::Number(_) | Narrows::Value, _) => 1e-3,
            (Narrows::Key | Narrows::Name | Narrows::Status, _) => 0.05,
            (Narrows::Time | Narrows::Duration, Operator::Equal) => 1e-4,
            _ => 0.25,
        };
    }

    fn total(&self) -> f64 {
        self.blocks + self.rows
    }

    fn rows(&self) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "an estimate")]
        {
            self.rows.max(1.0) as i64
        }
    }
}
