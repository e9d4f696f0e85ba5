//! What was taken can be read: from memory, from files, after a restart, and with broken files.

#![allow(clippy::unwrap_used)] // Helpers of tests, too, may fail.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use wk_model::series::{Exemplar, Histogram, Labels, Metadata, MetricKind, SampleValue};
use wk_model::write::{SampleSink, WriteBatch, WriteError};
use wk_promql::{Cancel, MatchOp, Matcher, Queryable, Scope, Select};
use wk_telemetry::{OpenError, Settings, Store};

const NOW: i64 = 1_795_383_364_000;

fn open(dir: &Path) -> Store {
    Store::open(dir, Settings::default(), NOW).unwrap()
}

/// One batch: each series gets one number per time.
fn batch(series: &[&str], samples: &[(i64, f64)]) -> WriteBatch {
    let mut batch = WriteBatch::default();
    for name in series {
        batch.start_series();
        batch.label("__name__", name);
        batch.label("job", "test");
        samples.iter().for_each(|(time, value)| batch.float(*time, *value));
    }
    batch
}

/// Everything in the store as text, series by series.
fn all(store: &Store) -> Vec<String> {
    let cancel = Cancel::default();
    let select = Select { matchers: &[], start_ms: i64::MIN, end_ms: i64::MAX, cancel: &cancel };
    let mut all: Vec<String> = store
        .select(&select)
        .unwrap()
        .map(|series| {
            let series = series.unwrap();
            let points = series.points.iter().map(|point| match &point.value {
                SampleValue::Float(value) => format!("{}={value}", point.time_ms - NOW),
                SampleValue::Histogram(h) => format!("{}=h{}", point.time_ms - NOW, h.count),
            });
            let name = series.labels.metric_name().to_owned();
            format!("{name} {}", points.collect::<Vec<_>>().join(" "))
        })
        .collect();
    all.sort();
    all
}

#[test]
fn samples_are_read_from_memory_and_files_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.write(&batch(&["a", "b"], &[(NOW, 1.0), (NOW + 1, 2.0)])).unwrap();
    assert_eq!(all(&store), ["a 0=1 1=2", "b 0=1 1=2"]);
    store.flush().unwrap();
    assert_eq!(all(&store), ["a 0=1 1=2", "b 0=1 1=2"]);
    // A late one, beside what is in a file.
    store.write(&batch(&["a"], &[(NOW + 2, 3.0), (NOW - 5, 0.5)])).unwrap();
    let expected = ["a -5=0.5 0=1 1=2 2=3", "b 0=1 1=2"];
    assert_eq!(all(&store), expected);
    drop(store);
    let store = open(dir.path());
    assert_eq!(all(&store), expected);
    store.flush().unwrap();
    store.flush().unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(all(&store), expected);
    assert!(store.damage().is_empty(), "{:?}", store.damage());
}

#[test]
fn histograms_exemplars_and_metadata_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let exemplar =
        Exemplar { labels: Labels::from_pairs([("trace_id", "1f")]), time_ms: NOW, value: 0.25 };
    let metadata =
        Metadata { kind: MetricKind::Histogram, help: "Time".into(), unit: "seconds".into() };
    let store = open(dir.path());
    let mut batch = WriteBatch::default();
    batch.start_series();
    batch.label("__name__", "h");
    batch.histogram(NOW, Arc::new(Histogram { count: 4.0, ..Histogram::default() }));
    batch.float(NOW + 1, 1.0);
    batch.exemplar(exemplar.clone());
    batch.metadata("h", metadata.clone());
    let written = store.write(&batch).unwrap();
    assert_eq!((written.samples, written.exemplars, written.refused), (2, 1, 0));
    let check = |store: &Store| {
        assert_eq!(all(store), ["h 0=h4 1=1"]);
        assert_eq!(store.metadata().get("h"), Some(&metadata));
        let cancel = Cancel::default();
        let scope = Scope { any_of: &[], start_ms: NOW, end_ms: NOW, cancel: &cancel };
        let found = store.exemplars(&scope).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].exemplars, std::slice::from_ref(&exemplar));
    };
    check(&store);
    drop(store);
    let store = open(dir.path());
    check(&store);
    store.flush().unwrap();
    check(&store);
    drop(store);
    check(&open(dir.path()));
}

#[test]
fn what_cannot_be_kept_is_refused_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { max_series: 2, max_labels: 3, ..Settings::default() };
    let store = Store::open(dir.path(), settings, NOW).unwrap();
    store.write(&batch(&["a"], &[(NOW, 1.0)])).unwrap();
    for (batch, refused, expected) in [
        (batch(&["a"], &[(NOW, 2.0)]), 1, "another sample has the time"),
        (batch(&["a"], &[(NOW - 4_000_000, 2.0)]), 1, "`telemetry.out_of_order`"),
        (batch(&["a"], &[(NOW + 4_000_000, 2.0)]), 1, "`telemetry.ahead`"),
        (batch(&["b", "c"], &[(NOW, 2.0)]), 1, "`telemetry.max_series`"),
    ] {
        let written = store.write(&batch).unwrap();
        assert_eq!(written.refused, refused, "{written:?}");
        assert!(written.reasons[0].contains(expected), "{written:?}");
    }
    let mut wide = WriteBatch::default();
    wide.start_series();
    ["a", "b", "c", "d"].iter().for_each(|name| wide.label(name, "x"));
    wide.float(NOW, 1.0);
    let written = store.write(&wide).unwrap();
    assert!(written.reasons[0].contains("`telemetry.max_labels`"), "{written:?}");
    // The same again is no fault.
    assert_eq!(store.write(&batch(&["a"], &[(NOW, 1.0)])).unwrap().refused, 0);
    assert_eq!(all(&store), ["a 0=1", "b 0=2"]);
}

#[test]
fn labels_are_found_in_memory_and_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.write(&batch(&["a"], &[(NOW, 1.0)])).unwrap();
    store.flush().unwrap();
    store.write(&batch(&["b"], &[(NOW, 1.0)])).unwrap();
    let cancel = Cancel::default();
    let scope = Scope { any_of: &[], start_ms: NOW - 10, end_ms: NOW + 10, cancel: &cancel };
    let names: Vec<_> = store.label_names(&scope).unwrap().into_iter().collect();
    assert_eq!(names, ["__name__".into(), "job".into()]);
    assert_eq!(store.label_values("__name__", &scope).unwrap().len(), 2);
    let only = [vec![Matcher::new("__name__", MatchOp::Matches, "a|x").unwrap()]];
    let scope = Scope { any_of: &only, ..scope };
    assert_eq!(store.label_values("__name__", &scope).unwrap().len(), 1);
    assert_eq!(store.series(&scope).unwrap().len(), 1);
}

#[test]
fn a_broken_block_is_told_and_the_rest_answers() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for name in ["a", "b"] {
        store.write(&batch(&[name], &[(NOW, 1.0)])).unwrap();
        store.flush().unwrap();
    }
    drop(store);
    let mut blocks: Vec<_> =
        fs::read_dir(dir.path().join("blocks")).unwrap().map(|e| e.unwrap().path()).collect();
    blocks.sort();
    let mut bytes = fs::read(&blocks[0]).unwrap();
    for byte in &mut bytes[9..] {
        *byte ^= 0x55;
    }
    fs::write(&blocks[0], bytes).unwrap();
    let store = open(dir.path());
    assert_eq!(all(&store), ["b 0=1"]);
    assert_eq!(store.damage().len(), 1);
    assert_eq!(store.damage()[0].path, blocks[0]);
    drop(store);
    fs::remove_file(&blocks[0]).unwrap();
    let store = open(dir.path());
    assert_eq!(all(&store), ["b 0=1"]);
    assert!(store.damage()[0].what.contains("1 samples"), "{:?}", store.damage());
}

#[test]
fn what_could_not_go_into_a_file_goes_there_later() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.write(&batch(&["a"], &[(NOW, 1.0)])).unwrap();
    // Nobody can write into a folder that is not there.
    let (blocks, away) = (dir.path().join("blocks"), dir.path().join("away"));
    fs::rename(&blocks, &away).unwrap();
    store.flush().unwrap_err();
    store.write(&batch(&["a", "b"], &[(NOW + 1, 2.0)])).unwrap();
    let expected = ["a 0=1 1=2", "b 1=2"];
    assert_eq!(all(&store), expected);
    fs::rename(&away, &blocks).unwrap();
    store.flush().unwrap();
    assert_eq!(all(&store), expected);
    // All of it is in files: the log holds nothing that is still needed.
    fs::remove_dir_all(dir.path().join("wal")).unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(all(&store), expected);
}

#[test]
fn old_files_go_and_left_overs_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.write(&batch(&["a"], &[(NOW, 1.0)])).unwrap();
    store.flush().unwrap();
    fs::write(dir.path().join("blocks/000000000099.blk"), "half").unwrap();
    store.maintain(NOW + 86_400_000).unwrap();
    assert_eq!(all(&store).len(), 1);
    store.maintain(NOW + 32 * 86_400_000).unwrap();
    assert!(all(&store).is_empty());
    drop(store);
    let store = open(dir.path());
    assert!(all(&store).is_empty() && store.damage().is_empty());
    assert_eq!(fs::read_dir(dir.path().join("blocks")).unwrap().count(), 0);
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path());
    let second = Store::open(dir.path(), Settings::default(), NOW);
    assert!(matches!(second, Err(OpenError::InUse { .. })));
}

#[test]
fn a_batch_that_fits_no_record_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut large = WriteBatch::default();
    for at in 0..5_000_u32 {
        large.start_series();
        large.label("__name__", "large");
        large.label("a", &format!("{at}{}", "x".repeat(14_000)));
        large.float(NOW, 1.0);
    }
    assert!(matches!(store.write(&large), Err(WriteError::Never(_))));
    assert!(all(&store).is_empty());
    store.write(&batch(&["a"], &[(NOW, 1.0)])).unwrap();
    drop(store);
    assert_eq!(all(&open(dir.path())), ["a 0=1"]);
}
