//! Whatever text comes, reading it ends, and what it gives hangs together.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use wk_trace::{MAX_DEPTH, MAX_FRAMES, TxTrace, read, unpack};

/// Pieces that traces are made of, so that random text comes close to real ones.
fn piece() -> impl Strategy<Value = String> {
    let fixed = |text: &'static str| Just(text.to_owned());
    prop_oneof![
        fixed("{"),
        fixed("}"),
        fixed("["),
        fixed("]"),
        fixed(","),
        fixed("\"calls\":["),
        fixed("\"type\":\"CALL\""),
        fixed("\"type\":\"CREATE\""),
        fixed("\"type\":\"DELEGATECALL\""),
        fixed("\"from\":\"0x00000000000000000000000000000000000000aa\""),
        fixed("\"to\":\"0x00000000000000000000000000000000000000bb\""),
        fixed("\"input\":\"0xa9059cbb\""),
        fixed("\"output\":\"0x"),
        fixed("\"value\":\"0xff\""),
        fixed("\"error\":\"reverted\""),
        fixed(
            "\"logs\":[{\"address\":\"0x00000000000000000000000000000000000000cc\",\"topics\":[],\"data\":\"0x\",\"position\":\"0x1\"}]"
        ),
        fixed("\"action\":{\"callType\":\"call\"}"),
        fixed("\"traceAddress\":[0,1]"),
        fixed("\"trace\":[]"),
        fixed("\"result\":"),
        fixed("\"transactions\":["),
        fixed("\"pre\":{}"),
        fixed("\"post\":{}"),
        "\\PC{0,6}".prop_map(|text| text),
    ]
}

fn hangs_together(trace: &TxTrace) {
    let count = u32::try_from(trace.frames.len()).unwrap();
    for (at, frame) in (0..).zip(&trace.frames) {
        assert!(frame.parent.is_none_or(|parent| parent < at));
        assert!(frame.end > at && frame.end <= count);
        assert!(frame.depth <= MAX_DEPTH);
        for party in [frame.from, frame.to, frame.code] {
            assert!(party.index() < trace.party_count());
        }
    }
    for transfer in &trace.transfers {
        assert!(transfer.from.index() < trace.party_count());
        assert!(transfer.to.index() < trace.party_count());
    }
    trace.balance_changes();
}

proptest! {
    #[test]
    fn reading_never_panics(pieces in proptest::collection::vec(piece(), 0..60)) {
        if let Ok(traces) = read(pieces.concat().as_bytes()) {
            traces.transactions.iter().for_each(hangs_together);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = unpack(&bytes, 1 << 20);
        let _ = read(&bytes);
    }

    #[test]
    fn any_tree_keeps_its_shape(parents in proptest::collection::vec(0_usize..8, 0..40)) {
        let text = tree(&parents);
        let traces = read(text.as_bytes()).unwrap();
        let trace = &traces.transactions[0];
        prop_assert_eq!(trace.frames.len(), parents.len() + 1);
        hangs_together(trace);
    }
}

/// A tree whose `n`th frame hangs below one of the last few before it.
fn tree(parents: &[usize]) -> String {
    fn frame(at: usize, children: &[Vec<usize>]) -> String {
        let inner: Vec<String> = children[at].iter().map(|child| frame(*child, children)).collect();
        format!(
            "{{\"calls\":[{}],\"type\":\"CALL\",\"from\":\"0x{at:040x}\",\"to\":\"0x{:040x}\",\"input\":\"0x\"}}",
            inner.join(","),
            at + 0x1000
        )
    }
    let mut children = vec![Vec::new(); parents.len() + 1];
    for (at, back) in parents.iter().enumerate() {
        children[at.saturating_sub(*back)].push(at + 1);
    }
    frame(0, &children)
}

#[test]
fn too_deep_and_too_many_are_cut_and_said() {
    let from = "\"from\":\"0x00000000000000000000000000000000000000aa\",\"to\":\"0x00000000000000000000000000000000000000bb\",\"type\":\"CALL\"";
    let deep = format!("{}{}", format!("{{{from},\"calls\":[").repeat(3000), "]}".repeat(3000));
    let trace = read(deep.as_bytes()).unwrap().transactions.remove(0);
    assert!(trace.known.cut);
    assert_eq!(trace.frames.len(), usize::from(MAX_DEPTH) + 1);
    hangs_together(&trace);

    let one = format!("{{{from}}}");
    let many = format!("{{{from},\"calls\":[{}]}}", vec![one; MAX_FRAMES + 10].join(","));
    let trace = read(many.as_bytes()).unwrap().transactions.remove(0);
    assert!(trace.known.cut);
    assert_eq!(trace.frames.len(), MAX_FRAMES);
}
