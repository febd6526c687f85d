//! Rows of a view, block by block: one block in memory, several only where times overlap.

use crate::TablesError;
use crate::fill::{Cache, fill};
use crate::stop::Stop;
use crate::value::Value;
use crate::view::{Source, View};
use llamatelemetry_store::{Batch, Part, Query, Signal, Snapshot, StoreError};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Rows that are made at first and at most at once: few suffice for who wants few.
const FIRST: usize = 32;
const MOST: usize = 4_096;
/// The same where rows are messages, which may be long.
const MOST_MESSAGES: usize = 512;
/// So many blocks may overlap in time for rows to be handed out in order of time.
pub(crate) const OVERLAP: usize = 32;

/// What a question looks at.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) snapshot: Snapshot,
    pub(crate) stop: Stop,
    damaged: Mutex<BTreeSet<String>>,
}

/// In which order of time rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Rising,
    Falling,
}

impl Stored {
    pub(crate) fn new(snapshot: Snapshot, stop: Stop) -> Self {
        let damaged = snapshot.damaged().values().cloned().collect();
        Self {
            snapshot,
            stop,
            damaged: Mutex::new(damaged),
        }
    }

    /// Files that could not be read so far, each with the reason.
    pub(crate) fn damaged(&self) -> BTreeSet<String> {
        self.damages().clone()
    }

    /// How many blocks of a signal overlap in time at most.
    pub(crate) fn overlap(&self, signal: Signal) -> usize {
        let mut bounds: Vec<(u64, bool)> = Vec::new();
        for part in self.snapshot.parts(signal) {
            let times = part.times();
            bounds.push((key(*times.start()), false));
            bounds.push((key(*times.end()), true));
        }
        bounds.sort_unstable();
        let (mut open, mut most) = (0_usize, 0);
        for (_, ends) in bounds {
            open = if ends { open - 1 } else { open + 1 };
            most = most.max(open);
        }
        most
    }

    fn damages(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what is wrong with a file and goes on without it; anything else is an error.
    fn unless_damaged<T>(&self, outcome: Result<T, TablesError>) -> Result<Option<T>, TablesError> {
        match outcome {
            Ok(found) => Ok(Some(found)),
            Err(TablesError::Store(error)) if error.is_of_file() => {
                self.damages().insert(with_cause(&error));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// A failure and what caused it, in one line.
pub(crate) fn with_cause(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// A time as it is compared: beyond what SQL's integers hold it is not known, and what is not
/// known comes first.
fn key(time: u64) -> u64 {
    if i64::try_from(time).is_ok() { time } else { 0 }
}

/// A walk over the rows of a view.
#[derive(Debug)]
pub(crate) struct Scan {
    view: &'static View,
    query: Query,
    order: Option<Order>,
    wanted: u64,
    /// Blocks that were not opened yet, the next one in front.
    parts: VecDeque<(usize, Part)>,
    open: Vec<Stream>,
    current: usize,
    started: bool,
}

/// The rows of one block, in order.
#[derive(Debug)]
struct Stream {
    /// Which of the snapshot's blocks; nothing where the rows are not of one.
    block: Option<(usize, Batch)>,
    /// Rows that are to come, the next one last.
    pending: Vec<usize>,
    cache: Cache,
    chunk: Chunk,
    size: usize,
}

/// Rows as they are handed out.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// A column of which nothing is wanted is empty.
    pub(crate) columns: Vec<Vec<Value>>,
    /// What tells rows apart.
    pub(crate) ids: Vec<i64>,
    /// When the rows are of.
    pub(crate) times: Vec<u64>,
    /// Which row comes when.
    pub(crate) order: Vec<usize>,
    pub(crate) at: usize,
}

impl Chunk {
    fn head(&self) -> Option<usize> {
        self.order.get(self.at).copied()
    }

    /// Whole rows.
    fn of_rows(rows: Vec<Vec<Value>>, width: usize) -> Self {
        let mut columns = vec![Vec::with_capacity(rows.len()); width];
        let count = rows.len();
        // By what it holds: its place depends on which rows are asked for.
        let ids = rows.iter().map(|row| Value::hash_of(row)).collect();
        for row in rows {
            for (column, value) in columns.iter_mut().zip(row) {
                column.push(value);
            }
        }
        Self {
            columns,
            ids,
            times: vec![0; count],
            order: (0..count).collect(),
            at: 0,
        }
    }
}

impl Scan {
    /// Begins a walk; `wanted` has a bit for each column that is looked at. Without a query there
    /// is no row.
    pub(crate) fn new(
        view: &'static View,
        stored: &Stored,
        query: Option<Query>,
        order: Option<Order>,
        wanted: u64,
    ) -> Result<Self, TablesError> {
        let mut scan = Self {
            view,
            query: query.clone().unwrap_or_default(),
            order,
            wanted,
            parts: VecDeque::new(),
            open: Vec::new(),
            current: 0,
            started: false,
        };
        match (query, &view.source) {
            (None, _) => {}
            (Some(query), Source::Whole(rows)) => {
                stored.stop.check()?;
                let whole = rows(&stored.snapshot, query.time.as_ref())?;
                stored.damages().extend(whole.damaged);
                scan.open.push(Stream {
                    block: None,
                    pending: Vec::new(),
                    cache: Cache::default(),
                    chunk: Chunk::of_rows(whole.rows, view.columns.len()),
                    size: FIRST,
                });
            }
            (Some(query), Source::Rows(signal) | Source::Parts { signal, .. }) => {
                let parts = stored.snapshot.parts(*signal).enumerate();
                let within = |part: &Part| {
                    query.time.as_ref().is_none_or(|time| {
                        part.times().end() >= &time.start && part.times().start() < &time.end
                    })
                };
                let mut parts: Vec<(usize, Part)> = parts
                    .filter(|(_, part)| within(part))
                    .map(|(place, part)| (place, part.clone()))
                    .collect();
                if let Some(order) = order {
                    parts.sort_by_key(|(_, part)| match order {
                        Order::Rising => bound(part, order),
                        Order::Falling => u64::MAX - bound(part, order),
                    });
                }
                scan.parts = parts.into();
            }
        }
        Ok(scan)
    }

    /// Goes to the next row. `false` at the end.
    pub(crate) fn advance(&mut self, stored: &Stored) -> Result<bool, TablesError> {
        if self.started {
            if let Some(stream) = self.open.get_mut(self.current) {
                stream.chunk.at += 1;
                if stream.chunk.head().is_none() {
                    self.refill(self.current, stored)?;
                }
            }
        } else {
            self.started = true;
            for place in (0..self.open.len()).rev() {
                if self.open[place].chunk.head().is_none() {
                    self.open.swap_remove(place);
                }
            }
        }
        loop {
            let best = self.best();
            let opens = match (self.parts.front(), best, self.order) {
                (Some(_), None, _) => true,
                (None, ..) | (Some(_), Some(_), None) => false,
                (Some((_, part)), Some((_, time)), Some(order)) => match order {
                    Order::Rising => bound(part, order) <= time,
                    Order::Falling => bound(part, order) >= time,
                },
            };
            if opens {
                self.open_next(stored)?;
                continue;
            }
            let Some((place, _)) = best else {
                return Ok(false);
            };
            self.current = place;
            return Ok(true);
        }
    }

    /// A cell of the current row.
    pub(crate) fn cell(&self, column: usize) -> &Value {
        const NULL: &Value = &Value::Null;
        let found = self.open.get(self.current).and_then(|stream| {
            let row = stream.chunk.head()?;
            stream.chunk.columns.get(column)?.get(row)
        });
        found.unwrap_or(NULL)
    }

    /// What tells the current row from others: the same however it was found.
    pub(crate) fn id(&self) -> i64 {
        let found = self.open.get(self.current).and_then(|stream| {
            let row = stream.chunk.head()?;
            stream.chunk.ids.get(row).copied()
        });
        found.unwrap_or_default()
    }

    /// The stream whose row comes next, and that row's time.
    fn best(&self) -> Option<(usize, u64)> {
        let heads = self.open.iter().enumerate().filter_map(|(place, stream)| {
            let row = stream.chunk.head()?;
            Some((place, key(*stream.chunk.times.get(row)?)))
        });
        match self.order {
            None => heads.into_iter().next(),
            Some(Order::Rising) => heads.min_by_key(|(_, time)| *time),
            Some(Order::Falling) => heads.max_by_key(|(_, time)| *time),
        }
    }

    fn open_next(&mut self, stored: &Stored) -> Result<(), TablesError> {
        let Some((place, part)) = self.parts.pop_front() else {
            return Ok(());
        };
        stored.stop.check()?;
        let found = part.find(&self.query).map_err(TablesError::from);
        let Some(batch) = stored.unless_damaged(found)? else {
            return Ok(());
        };
        let mut pending: Vec<usize> = (0..batch.len()).rev().collect();
        if let Source::Parts { keys, .. } = self.view.source
            && !keys.is_empty()
            && let Some(having) = stored.unless_damaged(having(&batch, keys))?
        {
            pending.retain(|row| having[*row]);
        }
        if let Some(order) = self.order {
            pending.sort_by_key(|row| {
                let time = key(batch.times()[*row]);
                match order {
                    Order::Rising => u64::MAX - time,
                    Order::Falling => time,
                }
            });
        }
        self.open.push(Stream {
            block: Some((place, batch)),
            pending,
            cache: Cache::default(),
            chunk: Chunk::default(),
            size: FIRST,
        });
        self.refill(self.open.len() - 1, stored)
    }

    /// Makes a stream's next rows; one without further rows is closed.
    fn refill(&mut self, place: usize, stored: &Stored) -> Result<(), TablesError> {
        let stream = &mut self.open[place];
        while stream.chunk.head().is_none() && !stream.pending.is_empty() {
            stored.stop.check()?;
            let made = stream.make(self.view, self.wanted);
            if stored.unless_damaged(made)?.is_none() {
                stream.pending.clear();
                stream.chunk = Chunk::default();
            }
        }
        if stream.chunk.head().is_none() {
            // Not by swapping: without an order blocks come one after the other.
            self.open.remove(place);
        }
        Ok(())
    }
}

impl Stream {
    fn make(&mut self, view: &'static View, wanted: u64) -> Result<(), TablesError> {
        let Some((place, batch)) = &self.block else {
            return Ok(());
        };
        let rest = self.pending.len().saturating_sub(self.size);
        let mut rows = self.pending.split_off(rest);
        rows.reverse();
        // Blocks are read in the order of their rows, whatever order they are wanted in.
        let mut rising = rows.clone();
        rising.sort_unstable();
        let filled = fill(view, batch, &rising, wanted, &mut self.cache)?;
        let mut chunk = filled.chunk;
        for row in &rows {
            let at = rising.partition_point(|other| other < row);
            chunk.order.extend(filled.spans[at].clone());
        }
        for (row, span) in rising.iter().zip(&filled.spans) {
            let time = batch.times()[*row];
            chunk.times.resize(span.end, time);
            let row = i64::from(batch.places()[*row]);
            let base = (i64::try_from(*place).unwrap_or(0) << 43) | (row << 23);
            chunk
                .ids
                .extend((0..).take(span.len()).map(|part| base | part));
        }
        self.chunk = chunk;
        let most = match view.source {
            Source::Rows(_) if !filled.messages => MOST,
            _ => MOST_MESSAGES,
        };
        self.size = (self.size * 4).min(most);
        Ok(())
    }
}

/// The first time that a block can have, in the order wanted.
fn bound(part: &Part, order: Order) -> u64 {
    let times = part.times();
    let unknown = i64::try_from(*times.end()).is_err();
    match order {
        // A time that is not known comes first.
        Order::Rising if unknown => 0,
        Order::Rising => *times.start(),
        Order::Falling => *times.end(),
    }
}

/// Which rows have one of these attributes.
fn having(batch: &Batch, keys: &[&str]) -> Result<Vec<bool>, TablesError> {
    let mut having = vec![false; batch.len()];
    for key in keys {
        let attribute = batch.attribute(key)?;
        for (row, has) in having.iter_mut().enumerate() {
            *has |= attribute.code(row).is_some();
        }
    }
    Ok(having)
}
