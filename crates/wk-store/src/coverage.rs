//! Which blocks were looked at: ranges of blocks that are alike.

use rusqlite::{Connection, Row, params};
use wk_model::{ChainName, Checks, CoverageRange, Height, Verification};

use crate::page::{cut, page_size};
use crate::sql::{Db, Filter, change, first, rows};
use crate::{Cursor, Page, SeenBlock, Store, StoreError};

/// How many holes and weaker ranges a summary lists.
const LISTED: usize = 1_000;
/// How long the reason for a missing check may be, in characters. Reasons come from endpoints.
const LONGEST_REASON: usize = 300;
/// Why blocks are a hole that the follower passed over without a word.
const PASSED_OVER: &str = "passed over by the follower";

/// Which coverage ranges to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoverageQuery {
    /// Only ranges that reach this height or higher.
    pub from: Option<Height>,
    /// Only ranges that begin at this height or lower.
    pub to: Option<Height>,
    /// Where to go on; none begins with the highest.
    pub cursor: Option<Cursor>,
    /// Rows per page; 0 means [`crate::DEFAULT_PAGE`].
    pub limit: u32,
}

/// What was looked at of one chain, in short.
#[derive(Clone, Debug, PartialEq)]
pub struct CoverageSummary {
    /// The chain.
    pub chain: ChainName,
    /// Lowest height known of.
    pub from: Height,
    /// Highest height known of.
    pub to: Height,
    /// Every block from this height up to `to` was processed; none while `to` itself was not.
    pub contiguous_from: Option<Height>,
    /// Number of blocks that were processed.
    pub processed: u64,
    /// Number of blocks between `from` and `to` that were not.
    pub missing: u64,
    /// Where those are, from–to inclusive, highest first; at most 1,000.
    pub holes: Vec<(Height, Height)>,
    /// Number of processed blocks for which not every check passed.
    pub weaker: u64,
    /// Where those are and why, highest first; at most 1,000.
    pub weaker_ranges: Vec<CoverageRange>,
    /// Number of blocks that were looked at again at least once.
    pub rescanned: u64,
}

impl Store {
    /// What was looked at of `chain`, in short; none for a chain never looked at.
    pub async fn coverage_summary(
        &self,
        chain: &ChainName,
    ) -> Result<Option<CoverageSummary>, StoreError> {
        let chain = chain.clone();
        self.read(move |connection| {
            let all =
                format!("SELECT {COLUMNS} FROM coverage WHERE chain = ? ORDER BY from_height");
            let ranges = rows(connection, &all, [Db(chain.clone())], read_range)?;
            Ok(summarise(chain, &ranges))
        })
        .await
    }

    /// Coverage ranges of `chain`, highest first.
    pub async fn coverage(
        &self,
        chain: &ChainName,
        query: CoverageQuery,
    ) -> Result<Page<CoverageRange>, StoreError> {
        let CoverageQuery { from, to, cursor, limit } = query;
        let size = page_size(limit);
        let mut filter = Filter::default();
        filter.and("chain = ?", Db(chain.clone()))?;
        if let Some(from) = from {
            filter.and("to_height >= ?", Db(from))?;
        }
        if let Some(to) = to {
            filter.and("from_height <= ?", Db(to))?;
        }
        if let Some(cursor) = &cursor {
            filter.and("from_height < ?", cursor.key('c')?)?;
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM coverage {} ORDER BY from_height DESC LIMIT {}",
            filter.clause(),
            size + 1
        );
        let items = self
            .read(move |connection| rows(connection, &sql, filter.params(), read_range))
            .await?;
        Ok(cut(items, size, 'c', |range| i64::try_from(range.from.0).unwrap_or(i64::MAX)))
    }
}

const COLUMNS: &str = "from_height, to_height, passed, shortfall, agreed, processed, rescans";

/// Blocks were looked at: what stands there now is theirs.
pub(crate) fn cover(
    connection: &Connection,
    chain: &ChainName,
    seen: &[SeenBlock],
) -> Result<(), StoreError> {
    // Neighbours that are alike are one change, not many: backfill comes in long runs.
    let alike = |a: &SeenBlock, b: &SeenBlock| {
        a.link.block.height.next() == b.link.block.height && a.verification == b.verification
    };
    for run in seen.chunk_by(alike) {
        let (Some(lowest), Some(highest)) = (run.first(), run.last()) else { continue };
        let verification = Verification {
            shortfall: cut_reason(&lowest.verification.shortfall),
            ..lowest.verification.clone()
        };
        let (from, to) = (lowest.link.block.height, highest.link.block.height);
        edit(connection, chain, from, to, |before| {
            let rescans = before.map_or(0, |before| before.rescans);
            Some(fresh(verification.clone(), true, rescans))
        })?;
    }
    Ok(())
}

/// The block at `height` is no longer part of the chain.
pub(crate) fn uncover(
    connection: &Connection,
    chain: &ChainName,
    height: Height,
) -> Result<(), StoreError> {
    edit(connection, chain, height, height, |_| None)
}

/// Blocks are known of, and were not looked at.
pub(crate) fn open_hole(
    connection: &Connection,
    chain: &ChainName,
    from: Height,
    to: Height,
    reason: &str,
) -> Result<(), StoreError> {
    edit(connection, chain, from, to, |_| Some(hole(reason)))
}

/// The same for the blocks of which nothing is known: the follower has passed them over.
pub(crate) fn note_passed_over(
    connection: &Connection,
    chain: &ChainName,
    from: Height,
    to: Height,
) -> Result<(), StoreError> {
    edit(connection, chain, from, to, |before| before.cloned().or_else(|| Some(hole(PASSED_OVER))))
}

/// Nobody waits any more for the blocks that were not looked at.
pub(crate) fn close_hole(
    connection: &Connection,
    chain: &ChainName,
    from: Height,
    to: Height,
) -> Result<(), StoreError> {
    edit(connection, chain, from, to, |before| before.filter(|range| range.processed).cloned())
}

/// Blocks were looked at again and had not changed.
pub(crate) fn count_rescan(
    connection: &Connection,
    chain: &ChainName,
    from: Height,
    to: Height,
) -> Result<(), StoreError> {
    edit(connection, chain, from, to, |before| {
        let mut range = before?.clone();
        if range.processed {
            range.rescans = range.rescans.saturating_add(1);
        }
        Some(range)
    })
}

/// So many endpoints gave the hash that stands at `height`.
pub(crate) fn set_agreed(
    connection: &Connection,
    chain: &ChainName,
    height: Height,
    endpoints: u8,
) -> Result<(), StoreError> {
    edit(connection, chain, height, height, |before| {
        let mut range = before?.clone();
        if range.processed {
            range.verification.agreed = endpoints;
        }
        Some(range)
    })
}

/// Blocks that were not looked at, from–to inclusive, lowest first.
pub(crate) fn holes(
    connection: &Connection,
    chain: &ChainName,
) -> Result<Vec<(Height, Height)>, StoreError> {
    let sql = "SELECT from_height, to_height FROM coverage
               WHERE chain = ? AND processed = 0 ORDER BY from_height";
    let ranges = rows(connection, sql, [Db(chain.clone())], |row| {
        Ok((row.get::<_, Db<Height>>(0)?.0, row.get::<_, Db<Height>>(1)?.0))
    })?;
    // Holes with different reasons are neighbours, and one hole for who refills them.
    let mut holes: Vec<(Height, Height)> = Vec::new();
    for (from, to) in ranges {
        match holes.last_mut() {
            Some(last) if last.1.next() == from => last.1 = to,
            _ => holes.push((from, to)),
        }
    }
    Ok(holes)
}

/// How far the block at `height` was verified.
pub(crate) fn verification_at(
    connection: &Connection,
    chain: &ChainName,
    height: Height,
) -> Result<Option<Verification>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM coverage WHERE chain = ? AND from_height <= ?
         ORDER BY from_height DESC LIMIT 1"
    );
    let range = first(connection, &sql, params![Db(chain.clone()), Db(height)], read_range)?;
    Ok(range.filter(|range| range.to >= height).map(|range| range.verification))
}

/// Old ranges that differ only in how many endpoints agreed become one, with the lowest number:
/// what it says stays true, and there are fewer rows. Returns how many rows that saves.
pub(crate) fn compact(
    connection: &Connection,
    chain: &ChainName,
    below: Height,
) -> Result<u64, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM coverage WHERE chain = ? AND to_height < ? ORDER BY from_height"
    );
    let before = rows(connection, &sql, params![Db(chain.clone()), Db(below)], read_range)?;
    let mut after: Vec<CoverageRange> = Vec::new();
    for range in &before {
        match after.last_mut() {
            Some(last) if last.to.next() == range.from && alike_but_for_agreed(last, range) => {
                last.to = range.to;
                last.verification.agreed = last.verification.agreed.min(range.verification.agreed);
            }
            _ => after.push(range.clone()),
        }
    }
    replace(connection, chain, &before, &after)?;
    Ok((before.len() - after.len()) as u64)
}

fn alike_but_for_agreed(a: &CoverageRange, b: &CoverageRange) -> bool {
    let mut like_a = b.verification.clone();
    like_a.agreed = a.verification.agreed;
    like_a == a.verification && a.processed == b.processed && a.rescans == b.rescans
}

fn hole(reason: &str) -> CoverageRange {
    let verification =
        Verification { passed: Checks::default(), shortfall: cut_reason(reason), agreed: 0 };
    fresh(verification, false, 0)
}

/// A range whose place is still to be set.
fn fresh(verification: Verification, processed: bool, rescans: u32) -> CoverageRange {
    CoverageRange { from: Height(0), to: Height(0), verification, processed, rescans }
}

fn cut_reason(reason: &str) -> String {
    reason.chars().take(LONGEST_REASON).collect()
}

/// Changes what stands at `from..=to`: `change` gets what stands there, piece by piece, nothing for
/// a gap, and gives what is to stand there. It need not set the place.
fn edit(
    connection: &Connection,
    chain: &ChainName,
    from: Height,
    to: Height,
    change: impl Fn(Option<&CoverageRange>) -> Option<CoverageRange>,
) -> Result<(), StoreError> {
    // Ranges do not overlap: of those that begin below `from`, only the last can reach it.
    let sql = format!(
        "SELECT {COLUMNS} FROM coverage
         WHERE chain = ?1 AND from_height <= ?3 AND to_height >= ?2 AND from_height >= coalesce(
             (SELECT max(from_height) FROM coverage WHERE chain = ?1 AND from_height <= ?2), 0)
         ORDER BY from_height"
    );
    let reach = (from.previous().unwrap_or(from), to.next());
    let touched =
        rows(connection, &sql, params![Db(chain.clone()), Db(reach.0), Db(reach.1)], read_range)?;
    let after = rewrite(&touched, from, to, change);
    replace(connection, chain, &touched, &after)
}

/// Writes the ranges `after` where `before` stood.
fn replace(
    connection: &Connection,
    chain: &ChainName,
    before: &[CoverageRange],
    after: &[CoverageRange],
) -> Result<(), StoreError> {
    for range in before.iter().filter(|range| !after.contains(range)) {
        let sql = "DELETE FROM coverage WHERE chain = ? AND from_height = ?";
        change(connection, sql, params![Db(chain.clone()), Db(range.from)])?;
    }
    for range in after.iter().filter(|range| !before.contains(range)) {
        let CoverageRange { from, to, verification, processed, rescans } = range;
        let Verification { passed, shortfall, agreed } = verification;
        let sql = "INSERT INTO coverage (chain, from_height, to_height, passed, shortfall, agreed,
                                         processed, rescans) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        change(
            connection,
            sql,
            params![
                Db(chain.clone()),
                Db(*from),
                Db(*to),
                passed.bits(),
                shortfall,
                agreed,
                processed,
                rescans
            ],
        )?;
    }
    Ok(())
}

/// `ranges` (sorted, apart, with all that touch `from..=to`) after the change of `from..=to`;
/// neighbours that are alike are one.
fn rewrite(
    ranges: &[CoverageRange],
    from: Height,
    to: Height,
    change: impl Fn(Option<&CoverageRange>) -> Option<CoverageRange>,
) -> Vec<CoverageRange> {
    let mut after: Vec<CoverageRange> = Vec::new();
    let mut push = |from: Height, to: Height, range: Option<CoverageRange>| {
        let Some(mut range) = range else { return };
        (range.from, range.to) = (from, to);
        match after.last_mut() {
            Some(last) if last.to.next() == from && alike(last, &range) => last.to = to,
            _ => after.push(range),
        }
    };
    // The lowest height inside that was not dealt with; none when all were.
    let mut open = Some(from);
    for range in ranges {
        if let Some(below) = from.previous()
            && range.from <= below
        {
            push(range.from, range.to.min(below), Some(range.clone()));
        }
        let inside = (range.from.max(from), range.to.min(to));
        if inside.0 <= inside.1 {
            if let Some(gap) = open
                && gap < inside.0
            {
                push(gap, Height(inside.0.0 - 1), change(None));
            }
            push(inside.0, inside.1, change(Some(range)));
            open = if inside.1 < to { Some(inside.1.next()) } else { None };
        }
        if range.to > to {
            if let Some(gap) = open.take() {
                push(gap, to, change(None));
            }
            push(range.from.max(to.next()), range.to, Some(range.clone()));
        }
    }
    if let Some(gap) = open {
        push(gap, to, change(None));
    }
    after
}

fn alike(a: &CoverageRange, b: &CoverageRange) -> bool {
    a.verification == b.verification && a.processed == b.processed && a.rescans == b.rescans
}

fn read_range(row: &Row<'_>) -> rusqlite::Result<CoverageRange> {
    Ok(CoverageRange {
        from: row.get::<_, Db<Height>>("from_height")?.0,
        to: row.get::<_, Db<Height>>("to_height")?.0,
        verification: Verification {
            passed: Checks::from_bits(row.get("passed")?),
            shortfall: row.get("shortfall")?,
            agreed: row.get("agreed")?,
        },
        processed: row.get("processed")?,
        rescans: row.get("rescans")?,
    })
}

fn summarise(chain: ChainName, ranges: &[CoverageRange]) -> Option<CoverageSummary> {
    let (lowest, highest) = (ranges.first()?, ranges.last()?);
    let mut summary = CoverageSummary {
        chain,
        from: lowest.from,
        to: highest.to,
        contiguous_from: None,
        processed: 0,
        missing: 0,
        holes: Vec::new(),
        weaker: 0,
        weaker_ranges: Vec::new(),
        rescanned: 0,
    };
    let mut unbroken = true;
    // The lowest height above the range that is looked at.
    let mut above = highest.to.next();
    let miss = |summary: &mut CoverageSummary, from: Height, to: Height| {
        summary.missing += to.above(from) + 1;
        let holes = &mut summary.holes;
        if let Some(last) = holes.last_mut()
            && to.next() == last.0
        {
            last.0 = from;
        } else if holes.len() < LISTED {
            holes.push((from, to));
        }
    };
    for range in ranges.iter().rev() {
        if range.to.next() < above {
            miss(&mut summary, range.to.next(), Height(above.0 - 1));
            unbroken = false;
        }
        above = range.from;
        if !range.processed {
            miss(&mut summary, range.from, range.to);
            unbroken = false;
            continue;
        }
        summary.processed += range.len();
        if unbroken {
            summary.contiguous_from = Some(range.from);
        }
        if range.rescans > 0 {
            summary.rescanned += range.len();
        }
        if !range.verification.is_full() {
            summary.weaker += range.len();
            if summary.weaker_ranges.len() < LISTED {
                summary.weaker_ranges.push(range.clone());
            }
        }
    }
    Some(summary)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Edit {
        Cover(u8),
        Remove,
        Hole,
        PassOver,
        Close,
        Rescan,
        Agree(u8),
    }

    fn edits() -> impl Strategy<Value = Vec<(u64, u64, Edit)>> {
        let edit = prop_oneof![
            (1u8..3).prop_map(Edit::Cover),
            Just(Edit::Remove),
            Just(Edit::Hole),
            Just(Edit::PassOver),
            Just(Edit::Close),
            Just(Edit::Rescan),
            (1u8..3).prop_map(Edit::Agree),
        ];
        proptest::collection::vec(
            (0u64..20, 0u64..8, edit).prop_map(|(from, more, edit)| (from, from + more, edit)),
            0..30,
        )
    }

    fn changed(edit: &Edit, before: Option<&CoverageRange>) -> Option<CoverageRange> {
        let verified =
            |agreed| Verification { passed: Checks::all(), shortfall: String::new(), agreed };
        match edit {
            Edit::Cover(agreed) => {
                Some(fresh(verified(*agreed), true, before.map_or(0, |before| before.rescans)))
            }
            Edit::Remove => None,
            Edit::Hole => Some(hole("down")),
            Edit::PassOver => before.cloned().or_else(|| Some(hole(PASSED_OVER))),
            Edit::Close => before.filter(|range| range.processed).cloned(),
            Edit::Rescan => before.cloned().map(|mut range| {
                range.rescans += u32::from(range.processed);
                range
            }),
            Edit::Agree(agreed) => before.cloned().map(|mut range| {
                if range.processed {
                    range.verification.agreed = *agreed;
                }
                range
            }),
        }
    }

    proptest! {
        #[test]
        fn ranges_say_what_a_map_of_blocks_says(edits in edits()) {
            let mut ranges: Vec<CoverageRange> = Vec::new();
            let mut blocks: BTreeMap<u64, CoverageRange> = BTreeMap::new();
            for (from, to, edit) in &edits {
                ranges = rewrite(&ranges, Height(*from), Height(*to), |before| changed(edit, before));
                for height in *from..=*to {
                    match changed(edit, blocks.get(&height)) {
                        Some(mut range) => {
                            (range.from, range.to) = (Height(height), Height(height));
                            blocks.insert(height, range);
                        }
                        None => {
                            blocks.remove(&height);
                        }
                    }
                }
            }
            let mut flat = BTreeMap::new();
            for range in &ranges {
                for height in range.from.0..=range.to.0 {
                    let one = CoverageRange { from: Height(height), to: Height(height), ..range.clone() };
                    prop_assert!(flat.insert(height, one).is_none(), "ranges overlap at {height}");
                }
            }
            prop_assert_eq!(flat, blocks);
            for pair in ranges.windows(2) {
                prop_assert!(pair[0].to < pair[1].from, "sorted");
                prop_assert!(
                    pair[0].to.next() < pair[1].from || !alike(&pair[0], &pair[1]),
                    "neighbours that are alike are one"
                );
            }
        }
    }

    fn range(from: u64, to: u64, agreed: u8, processed: bool) -> CoverageRange {
        let verification = Verification { passed: Checks::all(), shortfall: String::new(), agreed };
        let (from, to) = (Height(from), Height(to));
        CoverageRange { from, to, verification, processed, rescans: 0 }
    }

    #[test]
    fn a_summary_counts_gaps_as_missing() {
        let mut weak = range(30, 34, 1, true);
        weak.verification.passed = Checks::default();
        weak.verification.shortfall = "no receipts".to_owned();
        let ranges = [
            range(10, 19, 1, true),
            range(20, 24, 0, false),
            // 25 to 29: a gap beside a hole.
            weak.clone(),
            range(35, 40, 2, true),
        ];
        let summary = summarise(ChainName::new("a"), &ranges).expect("there are ranges");
        assert_eq!((summary.from, summary.to), (Height(10), Height(40)));
        assert_eq!(summary.contiguous_from, Some(Height(30)));
        assert_eq!((summary.processed, summary.missing), (21, 10));
        assert_eq!(summary.holes, [(Height(20), Height(29))]);
        assert_eq!((summary.weaker, summary.weaker_ranges), (5, vec![weak]));
        assert_eq!(summarise(ChainName::new("a"), &[]), None);
    }

    #[test]
    fn the_borders_of_all_heights_do_no_harm() {
        let all = rewrite(&[], Height(0), Height(u64::MAX), |_| Some(hole("x")));
        assert_eq!(all.len(), 1);
        let split = rewrite(&all, Height(u64::MAX), Height(u64::MAX), |_| None);
        assert_eq!((split[0].from, split[0].to), (Height(0), Height(u64::MAX - 1)));
        let split = rewrite(&all, Height(0), Height(0), |_| None);
        assert_eq!((split[0].from, split[0].to), (Height(1), Height(u64::MAX)));
    }
}
