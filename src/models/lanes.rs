//! Which rows of the cache hold which text.
//!
//! A lane is a text that grows: the rows of its tokens in the cache, in order. Lanes that began
//! alike share rows; a row is free again when no lane holds it. Row 0 belongs to nobody: tokens
//! that only fill up a batch leave their keys there.

use crate::error::Result;
use crate::{err, Code};

#[derive(Debug, Default)]
pub struct Lanes {
    lanes: Vec<Lane>,
    /// Lanes that hold each row.
    uses: Vec<u32>,
    free: Vec<u32>,
    /// What the device's table should hold; see [`Lanes::table`].
    table: Vec<u32>,
    /// Entries of the table per lane.
    stride: usize,
    /// First entry of the table that the device does not have.
    changed: Option<std::ops::Range<usize>>,
}

#[derive(Debug, Default, Clone)]
struct Lane {
    rows: Vec<u32>,
    source: usize,
}

/// Entries of the table per lane at first.
const STRIDE: usize = 64;

impl Lanes {
    /// Forgets all texts; lane i is new and empty and belongs to `sources[i]`.
    pub fn begin(&mut self, sources: &[usize]) {
        self.lanes = sources.iter().map(|&source| Lane { rows: Vec::new(), source }).collect();
        self.uses.clear();
        self.uses.push(1);
        self.free.clear();
        self.write_table();
    }

    pub fn count(&self) -> usize {
        self.lanes.len()
    }

    /// Tokens that lane `i` holds.
    pub fn len(&self, i: usize) -> usize {
        self.lanes.get(i).map_or(0, |lane| lane.rows.len())
    }

    pub fn source(&self, i: usize) -> usize {
        self.lanes[i].source
    }

    /// Rows of the cache that are or were in use.
    pub fn rows(&self) -> usize {
        self.uses.len()
    }

    /// The new lane i continues the old lane `parents[i]`. Moves no keys.
    pub fn fork(&mut self, parents: &[u32]) -> Result<()> {
        let known = self.lanes.len();
        if let Some(parent) = parents.iter().find(|&&p| p as usize >= known) {
            return Err(err!(Code::Internal, "lane {parent} of {known}"));
        }
        if parents.len() == known && parents.iter().enumerate().all(|(i, p)| *p as usize == i) {
            return Ok(());
        }
        let lanes: Vec<Lane> = parents.iter().map(|&p| self.lanes[p as usize].clone()).collect();
        lanes.iter().flat_map(|lane| &lane.rows).for_each(|row| self.uses[*row as usize] += 1);
        for lane in std::mem::replace(&mut self.lanes, lanes) {
            self.release(&lane.rows);
        }
        self.write_table();
        Ok(())
    }

    /// Lane `i` forgets all but its first `len` tokens.
    pub fn truncate(&mut self, i: usize, len: usize) {
        if let Some(lane) = self.lanes.get_mut(i) {
            let dropped = lane.rows.split_off(len.min(lane.rows.len()));
            self.release(&dropped);
        }
    }

    fn release(&mut self, rows: &[u32]) {
        for &row in rows {
            let uses = &mut self.uses[row as usize];
            *uses -= 1;
            if *uses == 0 {
                self.free.push(row);
            }
        }
    }

    /// Gives lane `i` rows for `count` more tokens.
    pub fn grow(&mut self, i: usize, count: usize) {
        for _ in 0..count {
            let row = self.free.pop().unwrap_or_else(|| {
                self.uses.push(0);
                self.uses.len() as u32 - 1
            });
            self.uses[row as usize] = 1;
            self.lanes[i].rows.push(row);
        }
        let len = self.lanes[i].rows.len();
        if len > self.stride {
            self.write_table();
            return;
        }
        let start = self.start(i);
        let new = start + len - count..start + len;
        self.table[new.clone()].copy_from_slice(&self.lanes[i].rows[len - count..]);
        self.changed = Some(match self.changed.take() {
            Some(old) => old.start.min(new.start)..old.end.max(new.end),
            None => new,
        });
    }

    /// Where lane `i` begins in the table.
    pub fn start(&self, i: usize) -> usize {
        1 + i * self.stride
    }

    /// Sets the whole table up: row 0, then `stride` entries per lane.
    fn write_table(&mut self) {
        let longest = self.lanes.iter().map(|lane| lane.rows.len()).max().unwrap_or(0);
        self.stride = self.stride.max(longest.next_power_of_two()).max(STRIDE);
        self.table.clear();
        self.table.resize(1 + self.lanes.len() * self.stride, 0);
        for (to, lane) in self.table[1..].chunks_mut(self.stride).zip(&self.lanes) {
            to[..lane.rows.len()].copy_from_slice(&lane.rows);
        }
        self.changed = Some(0..self.table.len());
    }

    /// What of the table changed since the last call: the first entry, and the entries.
    pub fn table(&mut self) -> Option<(usize, &[u32])> {
        let changed = self.changed.take()?;
        Some((changed.start, &self.table[changed]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_shared_and_come_back() {
        let mut lanes = Lanes::default();
        lanes.begin(&[0]);
        lanes.grow(0, 3);
        assert_eq!(lanes.lanes[0].rows, [1, 2, 3]);
        lanes.fork(&[0, 0]).unwrap();
        lanes.grow(0, 1);
        lanes.grow(1, 1);
        assert_eq!(lanes.lanes[1].rows, [1, 2, 3, 5]);
        lanes.fork(&[1, 1]).unwrap(); // row 4 is nobody's now
        lanes.grow(0, 1);
        assert_eq!(lanes.lanes[0].rows, [1, 2, 3, 5, 4]);
        lanes.truncate(1, 2); // its rows live on in lane 0
        lanes.grow(1, 1);
        assert_eq!(lanes.lanes[1].rows, [1, 2, 6]);
        assert_eq!(lanes.rows(), 7);
        assert!(lanes.fork(&[2]).is_err());
    }

    #[test]
    fn the_table_tells_what_changed() {
        let mut lanes = Lanes::default();
        lanes.begin(&[0, 0]);
        assert_eq!(lanes.table().map(|(at, t)| (at, t.len())), Some((0, 1 + 2 * STRIDE)));
        lanes.grow(0, 2);
        lanes.grow(1, 1);
        let (at, entries) = lanes.table().unwrap();
        assert_eq!((at, entries.len(), entries[0], entries[STRIDE]), (1, STRIDE + 1, 1, 3));
        assert!(lanes.table().is_none());
        lanes.grow(1, STRIDE);
        let start = lanes.start(1);
        let (at, entries) = lanes.table().unwrap();
        assert_eq!((at, entries.len(), entries[start]), (0, 1 + 4 * STRIDE, 3));
    }
}
