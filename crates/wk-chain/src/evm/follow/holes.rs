//! Blocks that are known to exist and were not looked at: pure, a set of ranges.

use wk_model::Height;

use crate::coverage::Coverage;

/// The open holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holes {
    /// Only unprocessed ranges.
    ranges: Coverage,
}

impl Holes {
    pub(super) fn new(holes: &[(Height, Height)]) -> Holes {
        let mut new = Holes::default();
        for (from, to) in holes {
            new.open(*from, *to);
        }
        new
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.ranges().next().is_none()
    }

    pub(super) fn open(&mut self, from: Height, to: Height) {
        self.ranges.hole(from, to);
    }

    /// The block at `height` was looked at.
    pub(super) fn close(&mut self, height: Height) {
        self.ranges.remove(height, height);
    }

    /// Blocks from `from` up are no longer part of the chain.
    pub(super) fn cut(&mut self, from: Height) {
        self.ranges.remove(from, Height(u64::MAX));
    }

    pub(super) fn contains(&self, height: Height) -> bool {
        self.ranges.at(height).is_some()
    }

    /// Whether all of `from..=to` is a hole.
    pub(super) fn covers(&self, from: Height, to: Height) -> bool {
        self.ranges.at(from).is_some_and(|range| range.to >= to)
    }

    /// The first height from `height` up that is in no hole.
    pub(super) fn after(&self, height: Height) -> Height {
        self.ranges.at(height).map_or(height, |range| range.to.next())
    }

    /// From–to inclusive, lowest first.
    pub(super) fn ranges(&self) -> Vec<(Height, Height)> {
        self.ranges.ranges().map(|range| (range.from, range.to)).collect()
    }

    /// Heights in holes, lowest first.
    pub(super) fn heights(&self) -> impl Iterator<Item = Height> + '_ {
        self.ranges.ranges().flat_map(|range| (range.from.0..=range.to.0).map(Height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_open_close_and_are_cut_off() {
        let h = Height;
        let mut holes = Holes::new(&[(h(10), h(20)), (h(21), h(25)), (h(40), h(40))]);
        assert_eq!(holes.ranges(), [(h(10), h(25)), (h(40), h(40))]);
        assert!(holes.covers(h(12), h(25)) && !holes.covers(h(12), h(26)));
        assert_eq!(
            (holes.after(h(12)), holes.after(h(30)), holes.after(h(40))),
            (h(26), h(30), h(41))
        );
        holes.close(h(10));
        holes.close(h(15));
        assert_eq!(holes.ranges(), [(h(11), h(14)), (h(16), h(25)), (h(40), h(40))]);
        assert_eq!(holes.heights().take(5).map(|h| h.0).collect::<Vec<_>>(), [11, 12, 13, 14, 16]);
        holes.cut(h(18));
        assert_eq!(holes.ranges(), [(h(11), h(14)), (h(16), h(17))]);
        assert!(holes.contains(h(17)) && !holes.contains(h(18)));
    }
}
