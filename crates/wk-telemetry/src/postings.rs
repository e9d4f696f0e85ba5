//! Which series have which label: found by name and value instead of by looking at all.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use wk_model::series::Labels;
use wk_promql::{MatchOp, Matcher};

/// Series by label. Ids count from 0 in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Postings {
    names: HashMap<Arc<str>, HashMap<Arc<str>, Vec<u32>>>,
    count: u32,
}

impl Postings {
    /// Adds the series after the last one.
    pub(crate) fn push(&mut self, labels: &Labels) {
        let id = self.count;
        self.count += 1;
        for (name, value) in labels.iter() {
            let values = match self.names.get_mut(name) {
                Some(values) => values,
                None => self.names.entry(name.clone()).or_default(),
            };
            match values.get_mut(value) {
                Some(ids) => ids.push(id),
                None => {
                    values.insert(value.clone(), vec![id]);
                }
            }
        }
    }

    /// The series that pass all matchers, in rising order.
    pub(crate) fn find<'a>(
        &self,
        matchers: &[Matcher],
        labels_of: impl Fn(u32) -> &'a Labels,
    ) -> Vec<u32> {
        // A matcher that the empty value passes says nothing about which label must be there.
        let telling: Vec<&Matcher> =
            matchers.iter().filter(|matcher| !matcher.matches_value("")).collect();
        let equal = telling.iter().filter(|matcher| matcher.op == MatchOp::Equal);
        let shortest = equal.map(|matcher| self.equal(matcher)).min_by_key(|ids| ids.len());
        let candidates: Vec<u32> = match (shortest, telling.first()) {
            (Some(ids), _) => ids.to_vec(),
            (None, Some(matcher)) => self.passing(matcher),
            (None, None) => (0..self.count).collect(),
        };
        let mut seen: Vec<HashMap<&str, bool>> = vec![HashMap::new(); matchers.len()];
        let mut passes = |id: &u32| {
            let labels = labels_of(*id);
            matchers.iter().zip(&mut seen).all(|(matcher, seen)| {
                let value = labels.get(&matcher.name).unwrap_or("");
                match matcher.op {
                    MatchOp::Equal | MatchOp::NotEqual => matcher.matches_value(value),
                    MatchOp::Matches | MatchOp::NotMatches => {
                        *seen.entry(value).or_insert_with(|| matcher.matches_value(value))
                    }
                }
            })
        };
        candidates.into_iter().filter(|id| passes(id)).collect()
    }

    fn equal(&self, matcher: &Matcher) -> &[u32] {
        let values = self.names.get(matcher.name.as_str());
        values.and_then(|values| values.get(matcher.value.as_str())).map_or(&[], Vec::as_slice)
    }

    /// The series with a value of the label that passes.
    fn passing(&self, matcher: &Matcher) -> Vec<u32> {
        let values = self.names.get(matcher.name.as_str()).into_iter().flatten();
        let passing = values.filter(|(value, _)| matcher.matches_value(value));
        let mut ids: Vec<u32> = passing.flat_map(|(_, ids)| ids.iter().copied()).collect();
        ids.sort_unstable();
        ids
    }

    /// All names of labels.
    pub(crate) fn names(&self, into: &mut BTreeSet<Arc<str>>) {
        into.extend(self.names.keys().cloned());
    }

    /// All values of a label.
    pub(crate) fn values(&self, name: &str, into: &mut BTreeSet<Arc<str>>) {
        into.extend(self.names.get(name).into_iter().flat_map(HashMap::keys).cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_look_at_all_finds() {
        let series: Vec<Labels> = (0..60)
            .map(|n| {
                let (a, b) = ((n % 3).to_string(), (n % 5).to_string());
                let b = if n % 7 == 0 { String::new() } else { b };
                Labels::from_pairs([("a", a.as_str()), ("b", b.as_str())])
            })
            .collect();
        let mut postings = Postings::default();
        series.iter().for_each(|labels| postings.push(labels));
        let matcher = |name, op, value| Matcher::new(name, op, value).unwrap();
        for matchers in [
            vec![],
            vec![matcher("a", MatchOp::Equal, "1")],
            vec![matcher("a", MatchOp::Equal, "1"), matcher("b", MatchOp::NotEqual, "2")],
            vec![matcher("b", MatchOp::Equal, "")],
            vec![matcher("b", MatchOp::Matches, "[12]"), matcher("a", MatchOp::Equal, "0")],
            vec![matcher("b", MatchOp::Matches, "3|4")],
            vec![matcher("b", MatchOp::NotMatches, ".+")],
            vec![matcher("c", MatchOp::Equal, "1")],
            vec![matcher("b", MatchOp::NotEqual, "")],
        ] {
            let found = postings.find(&matchers, |id| &series[id as usize]);
            let all: Vec<u32> = (0..60)
                .filter(|id| matchers.iter().all(|m| m.matches(&series[*id as usize])))
                .collect();
            assert_eq!(found, all, "{matchers:?}");
        }
    }
}
