//! Funds followed over made-up payments whose outcome can be added up by hand.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wk_contracts::funds::{
    AddressLabel, Asset, Direction, Ending, FundGraph, LabelKind, Labels, Listed, Method, Move,
    Movement, Settings, trace,
};
use wk_model::{Address, B256, U256};

const NATIVE: u8 = 0;

fn address(n: u8) -> Address {
    Address::with_last_byte(n)
}

fn asset(n: u8) -> Asset {
    if n == NATIVE { Asset::Native } else { Asset::Token(Address::repeat_byte(n)) }
}

/// One transaction per entry: its movements as (asset, from, to, amount).
fn chain(transactions: &[&[(u8, u8, u8, u64)]]) -> Vec<Movement> {
    (1u64..)
        .zip(transactions)
        .map(|(height, moves)| Movement {
            height,
            index: 0,
            tx: B256::from(U256::from(height)),
            time: height * 12,
            moves: moves
                .iter()
                .map(|(kind, from, to, amount)| Move {
                    asset: asset(*kind),
                    from: address(*from),
                    to: address(*to),
                    amount: U256::from(*amount),
                })
                .collect(),
        })
        .collect()
}

fn labels() -> Labels {
    let label = |n: u8, kind: LabelKind, name: &str| AddressLabel {
        address: address(n),
        kind,
        name: name.to_owned(),
    };
    Labels::new(&[
        label(90, LabelKind::Mixer, "tornado"),
        label(91, LabelKind::Exchange, "kraken"),
        label(92, LabelKind::Bridge, "nomad"),
        label(93, LabelKind::Wallet, "bob"),
    ])
}

fn follow(settings: &Settings, movements: Vec<Movement>) -> FundGraph {
    let Ok(graph) = trace(address(1), settings, &labels(), &mut Listed::new(movements));
    graph
}

/// Where it ended, as (ending, asset, amount).
fn endings(graph: &FundGraph) -> Vec<(&'static str, Asset, u64)> {
    let mut ends: Vec<_> = graph
        .endings()
        .into_iter()
        .flat_map(|(ending, sums)| {
            sums.into_iter().map(move |(kind, sum)| (ending.name(), kind, sum.to::<u64>()))
        })
        .collect();
    ends.sort();
    ends
}

#[test]
fn value_is_followed_to_where_it_ends() {
    let all = Settings { min_share: 0.0, ..Settings::default() };
    let fifo = Settings { method: Method::Fifo, ..all.clone() };
    for (name, settings, transactions, expected) in [
        (
            "a chain of wallets into a mixer and an exchange",
            &all,
            &[
                &[(NATIVE, 1, 2, 100)][..],
                &[(NATIVE, 2, 3, 60)],
                &[(NATIVE, 3, 90, 50)],
                &[(NATIVE, 2, 91, 40)],
            ][..],
            vec![
                ("exchange", Asset::Native, 40),
                ("holds", Asset::Native, 10),
                ("mixer", Asset::Native, 50),
            ],
        ),
        (
            "a mixer's own payments are nobody's",
            &all,
            &[&[(NATIVE, 1, 90, 100)], &[(NATIVE, 90, 5, 100)]],
            vec![("mixer", Asset::Native, 100)],
        ),
        (
            "mixed money by share: half of what 2 has is clean",
            &all,
            &[&[(NATIVE, 7, 2, 100)], &[(NATIVE, 1, 2, 100)], &[(NATIVE, 2, 91, 100)]],
            vec![("exchange", Asset::Native, 50), ("holds", Asset::Native, 50)],
        ),
        (
            "mixed money first in, first out: the clean goes first",
            &fifo,
            &[&[(NATIVE, 7, 2, 100)], &[(NATIVE, 1, 2, 100)], &[(NATIVE, 2, 91, 100)]],
            vec![("holds", Asset::Native, 100)],
        ),
        (
            "what is paid before it arrives is not followed",
            &all,
            &[&[(NATIVE, 2, 91, 100)], &[(NATIVE, 1, 2, 100)]],
            vec![("holds", Asset::Native, 100)],
        ),
        (
            "routers vanish, exchanges change the asset, the pool is not followed",
            &all,
            &[
                &[(NATIVE, 1, 2, 100)],
                &[(NATIVE, 2, 50, 100), (NATIVE, 50, 60, 100), (9, 60, 50, 300), (9, 50, 2, 300)],
                &[(NATIVE, 60, 61, 1_000)],
                &[(9, 2, 91, 200)],
            ],
            vec![("exchange", asset(9), 200), ("holds", asset(9), 100)],
        ),
        (
            "a mixer that pays something back is still a mixer",
            &all,
            &[&[(NATIVE, 1, 2, 100)], &[(NATIVE, 2, 90, 100), (9, 90, 2, 1)]],
            vec![("mixer", Asset::Native, 100)],
        ),
        (
            "a wrapped coin that is unwrapped stays its owner's",
            &all,
            &[&[(9, 1, 2, 100)], &[(9, 2, 0, 100), (NATIVE, 50, 2, 100)], &[(NATIVE, 2, 91, 60)]],
            vec![("exchange", Asset::Native, 60), ("holds", Asset::Native, 40)],
        ),
        (
            "what is burnt for nothing is gone",
            &all,
            &[&[(9, 1, 2, 100)], &[(9, 2, 0, 100)]],
            vec![("burn", asset(9), 100)],
        ),
        (
            "circles end",
            &all,
            &[&[(NATIVE, 1, 2, 100)], &[(NATIVE, 2, 1, 100)], &[(NATIVE, 1, 91, 100)]],
            vec![("exchange", Asset::Native, 100)],
        ),
        (
            "several payers in one transaction pay by share",
            &all,
            &[
                &[(NATIVE, 1, 2, 100)],
                &[(NATIVE, 2, 50, 100), (NATIVE, 8, 50, 300), (NATIVE, 50, 91, 400)],
            ],
            vec![("exchange", Asset::Native, 100)],
        ),
        (
            "steps are limited",
            &Settings { max_hops: 2, ..all.clone() },
            &[&[(NATIVE, 1, 2, 9)], &[(NATIVE, 2, 3, 9)], &[(NATIVE, 3, 91, 9)]],
            vec![("max_hops", Asset::Native, 9)],
        ),
        (
            "small parts are not looked into",
            &Settings { min_share: 0.05, ..all.clone() },
            &[&[(NATIVE, 1, 2, 1_000)], &[(NATIVE, 2, 3, 49)], &[(NATIVE, 2, 4, 51)]],
            vec![("holds", Asset::Native, 951), ("small", Asset::Native, 49)],
        ),
        (
            "services are not looked into",
            &Settings { max_transactions: 2, ..all.clone() },
            &[
                &[(NATIVE, 1, 2, 9)],
                &[(NATIVE, 5, 2, 9)],
                &[(NATIVE, 6, 2, 9)],
                &[(NATIVE, 2, 91, 9)],
            ],
            vec![("busy", Asset::Native, 9)],
        ),
        (
            "backwards: by whom it was paid",
            &Settings { direction: Direction::Backward, ..all.clone() },
            &[&[(NATIVE, 91, 3, 70)], &[(NATIVE, 3, 2, 70)], &[(NATIVE, 2, 1, 50)]],
            vec![("exchange", Asset::Native, 50)],
        ),
    ] {
        let graph = follow(settings, chain(transactions));
        assert_eq!(endings(&graph), expected, "{name}\n{}", graph.to_tree());
    }
}

#[test]
fn what_was_owned_before_counts_when_it_is_known() {
    let movements = chain(&[&[(NATIVE, 1, 2, 100)], &[(NATIVE, 2, 91, 100)]]);
    let mut source =
        Listed::new(movements).with_opening(address(2), Asset::Native, U256::from(300));
    let Ok(graph) = trace(address(1), &Settings::default(), &labels(), &mut source);
    assert_eq!(endings(&graph), [("exchange", Asset::Native, 25), ("holds", Asset::Native, 75)]);
}

#[test]
fn accounts_are_limited_and_what_is_left_out_is_said() {
    let fan: Vec<Vec<(u8, u8, u8, u64)>> = (2..60).map(|n| vec![(NATIVE, 1, n, 10)]).collect();
    let fan: Vec<&[(u8, u8, u8, u64)]> = fan.iter().map(Vec::as_slice).collect();
    let graph = follow(&Settings { max_addresses: 11, ..Settings::default() }, chain(&fan));
    assert_eq!((graph.len(), graph.edges.len()), (11, 10));
    assert_eq!(graph.left_out, BTreeMap::from([(Asset::Native, U256::from(480))]));
    assert!(graph.notes.iter().any(|note| note.contains("left out")), "{:?}", graph.notes);
}

#[test]
fn is_shown_as_tree_drawing_and_json() {
    let wei = 1_500_000_000_000_000_000;
    let graph = follow(
        &Settings::default(),
        chain(&[&[(NATIVE, 1, 2, wei)], &[(NATIVE, 2, 90, wei)], &[(9, 1, 93, 7)]]),
    );
    let tree = graph.to_tree();
    let lines: Vec<&str> = tree.lines().collect();
    assert_eq!(
        lines[1..4],
        [
            format!("  → 1.5 native  {:#x}", address(2)),
            format!("    → 1.5 native  {:#x} (mixer: tornado)  [mixer]", address(90)),
            format!(
                "  → 7 {:#x}  {:#x} (wallet: bob)  [holds]",
                Address::repeat_byte(9),
                address(93)
            ),
        ]
    );
    let dot = graph.to_dot();
    assert!(dot.starts_with("digraph funds {") && dot.contains("-> "), "{dot}");
    let json = graph.to_json();
    assert_eq!(json["endings"]["mixer"]["native"], "1500000000000000000");
    assert_eq!(json["nodes"].as_array().unwrap().len(), 4);
    assert_eq!(json["edges"][0]["transactions"], 1);
    assert_eq!(graph.nodes[&address(90)].ending, Some(Ending::Label(LabelKind::Mixer)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Value is neither made nor lost: with nothing left out, what left the first account is what
    /// others hold, sinks got, or came back.
    #[test]
    fn value_is_conserved(
        payments in prop::collection::vec((1u8..6, 1u8..8, 1u64..1_000), 0..60),
        fifo in any::<bool>(),
    ) {
        let payments: Vec<Vec<(u8, u8, u8, u64)>> =
            payments.into_iter().map(|(from, to, amount)| vec![(NATIVE, from, to, amount)]).collect();
        let slices: Vec<&[(u8, u8, u8, u64)]> = payments.iter().map(Vec::as_slice).collect();
        let method = if fifo { Method::Fifo } else { Method::Haircut };
        let settings = Settings { method, min_share: 0.0, max_hops: 100, ..Settings::default() };
        let graph = follow(&settings, chain(&slices));
        let held: u64 = endings(&graph).iter().map(|(_, _, amount)| amount).sum();
        let out: u64 = payments
            .iter()
            .flatten()
            .filter(|(_, from, to, _)| *from == 1 && to != from)
            .map(|(_, _, _, amount)| amount)
            .sum();
        prop_assert!(held <= out, "{held} of {out}");
        // Rounding loses less than one unit per payment, and what came back to the first is gone.
        let returns = payments.iter().flatten().any(|(_, from, to, _)| *to == 1 && from != to);
        if !returns {
            prop_assert!(held + payments.len() as u64 >= out, "{held} of {out}");
        }
    }

    /// Whatever moves, the walk ends without a panic and within its bounds.
    #[test]
    fn any_movements_are_survived(
        moves in prop::collection::vec(
            prop::collection::vec((0u8..3, 0u8..9, 0u8..9, any::<u64>()), 0..5), 0..40),
        backward in any::<bool>(),
    ) {
        let slices: Vec<&[(u8, u8, u8, u64)]> = moves.iter().map(Vec::as_slice).collect();
        let direction = if backward { Direction::Backward } else { Direction::Forward };
        let settings = Settings { direction, max_addresses: 5, ..Settings::default() };
        let mut movements = chain(&slices);
        for movement in &mut movements {
            for one in &mut movement.moves {
                one.amount <<= 192;
            }
        }
        let graph = follow(&settings, movements);
        prop_assert!(graph.len() <= 5);
        graph.to_tree();
        graph.to_dot();
        graph.to_json();
    }
}
