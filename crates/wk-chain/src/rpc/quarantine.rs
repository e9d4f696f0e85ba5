//! Who is not believed, for how long, and what lets it back in.

use std::time::Duration;

use tokio::time::Instant;

use super::status::{Trouble, TroubleKind};

/// What an endpoint was caught at, and how often.
#[derive(Debug, Default)]
pub(crate) struct Record {
    active: Option<Sentence>,
    offences: u32,
    last_offence: Option<Instant>,
}

/// An endpoint sits in quarantine.
#[derive(Clone, Debug)]
pub(crate) struct Sentence {
    pub(crate) trouble: Trouble,
    pub(crate) since: Instant,
    /// Not released before.
    pub(crate) until: Instant,
}

/// A check that an endpoint passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// Its chain id is right.
    ChainId,
    /// Its head is with the others.
    CaughtUp,
    /// Its hashes are those of the majority, or there is nobody to compare it with.
    Hashes,
}

const LONGEST: Duration = Duration::from_secs(3_600);
/// After this long without an offence the count begins again.
const FORGIVEN: Duration = Duration::from_secs(6 * 3_600);

impl Record {
    pub(crate) fn active(&self) -> Option<&Sentence> {
        self.active.as_ref()
    }

    pub(crate) fn kind(&self) -> Option<TroubleKind> {
        self.active.as_ref().map(|sentence| sentence.trouble.kind)
    }

    pub(crate) fn offences(&self) -> u32 {
        self.offences
    }

    /// The endpoint was caught. True when this is news: it was not in quarantine, or for less.
    pub(crate) fn accuse(&mut self, trouble: Trouble, first: Duration, now: Instant) -> bool {
        let news = self.kind().is_none_or(|kind| kind < trouble.kind);
        if self.kind().is_some_and(|kind| kind > trouble.kind) {
            // The worse trouble is the one to show and to be released from.
            return false;
        }
        let since = match &self.active {
            Some(sentence) if !news => sentence.since,
            _ => now,
        };
        let until = match trouble.kind {
            // These end as soon as they end: they say nothing about honesty.
            TroubleKind::Lagging | TroubleKind::WrongChain => now,
            _ => now + self.count_offence(news, first, now),
        };
        self.active = Some(Sentence { trouble, since, until });
        news
    }

    /// The time to sit for one more offence. Being caught again while sitting is the same offence.
    fn count_offence(&mut self, news: bool, first: Duration, now: Instant) -> Duration {
        let forgiven =
            |at: Instant| now.saturating_duration_since(at) >= FORGIVEN.saturating_add(LONGEST);
        if self.last_offence.is_some_and(forgiven) {
            self.offences = 0;
        }
        if news || self.offences == 0 {
            self.offences = self.offences.saturating_add(1);
        }
        self.last_offence = Some(now);
        first.saturating_mul(2u32.saturating_pow((self.offences - 1).min(16))).min(LONGEST)
    }

    /// The endpoint passed a check. True when this releases it.
    pub(crate) fn passed(&mut self, check: Passed, now: Instant) -> bool {
        let Some(sentence) = &self.active else { return false };
        let needed = match sentence.trouble.kind {
            TroubleKind::Lagging => Passed::CaughtUp,
            TroubleKind::WrongChain => Passed::ChainId,
            TroubleKind::Empty
            | TroubleKind::Truncated
            | TroubleKind::Disagreement
            | TroubleKind::WrongData
            | TroubleKind::Fork => Passed::Hashes,
        };
        let released = check == needed && now >= sentence.until;
        if released {
            self.active = None;
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TroubleKind::*;

    enum Step {
        /// Accused of this; whether it is news.
        Accuse(TroubleKind, bool),
        /// Passed this; whether it is released.
        Pass(Passed, bool),
        Wait(u64),
    }
    use Step::{Accuse, Pass, Wait};

    fn check(steps: &[Step]) -> Record {
        let mut now = Instant::now();
        let mut record = Record::default();
        for (number, step) in steps.iter().enumerate() {
            match step {
                Accuse(kind, news) => {
                    let trouble = Trouble::new(*kind, "evidence");
                    let actual = record.accuse(trouble, Duration::from_secs(60), now);
                    assert_eq!(actual, *news, "step {number}");
                }
                Pass(passed, released) => {
                    assert_eq!(record.passed(*passed, now), *released, "step {number}");
                }
                Wait(seconds) => now += Duration::from_secs(*seconds),
            }
        }
        record
    }

    #[test]
    fn lag_and_wrong_chain_end_when_they_end() {
        check(&[
            Accuse(Lagging, true),
            Accuse(Lagging, false),
            Pass(Passed::Hashes, false),
            Pass(Passed::ChainId, false),
            Pass(Passed::CaughtUp, true),
            Pass(Passed::CaughtUp, false),
            Accuse(WrongChain, true),
            Pass(Passed::CaughtUp, false),
            Pass(Passed::ChainId, true),
        ]);
    }

    #[test]
    fn who_was_caught_sits_longer_each_time_and_must_agree_again() {
        let record = check(&[
            Accuse(Fork, true),
            Wait(59),
            Pass(Passed::Hashes, false),
            Wait(1),
            Pass(Passed::CaughtUp, false),
            Pass(Passed::Hashes, true),
            Accuse(Empty, true),
            Wait(119),
            Pass(Passed::Hashes, false),
            // Caught again: the time begins anew, but it is the same offence.
            Accuse(Empty, false),
            Wait(119),
            Pass(Passed::Hashes, false),
            Wait(1),
            Pass(Passed::Hashes, true),
        ]);
        assert_eq!(record.offences(), 2);
        check(&[
            Accuse(Fork, true),
            Wait(60),
            Pass(Passed::Hashes, true),
            Wait(8 * 3_600),
            Accuse(Fork, true),
            Wait(60),
            Pass(Passed::Hashes, true),
        ]);
    }

    #[test]
    fn the_worse_trouble_is_the_one_that_stands() {
        let record = check(&[
            Accuse(Lagging, true),
            Accuse(Fork, true),
            Accuse(Lagging, false),
            Pass(Passed::CaughtUp, false),
        ]);
        assert_eq!(record.kind(), Some(Fork));
        let record = check(&[Accuse(Fork, true), Accuse(WrongChain, true), Accuse(Fork, false)]);
        assert_eq!(record.kind(), Some(WrongChain));
    }

    #[test]
    fn never_sits_longer_than_an_hour() {
        let mut now = Instant::now();
        let mut record = Record::default();
        for _ in 0..50 {
            record.accuse(Trouble::new(Empty, ""), Duration::from_secs(60), now);
            now += LONGEST;
            assert!(record.passed(Passed::Hashes, now));
        }
    }
}
