//! One batch, applied in order inside its transaction.

use rusqlite::Connection;
use wk_model::{ChainName, Height, Timestamp};

use crate::{
    Commit, Committed, HoleChange, Route, StoreError, blocks, conditions, coverage, entries,
    findings, inspections, rule_errors, upgrades, usage,
};

/// A batch on its way: what every step needs, and what came of the steps so far.
pub(crate) struct Batch<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) at: Timestamp,
    pub(crate) route: &'a Route,
    pub(crate) chain: Option<&'a ChainName>,
    pub(crate) done: Committed,
}

/// Applies `commit`; the caller owns the transaction.
pub(crate) fn apply(connection: &Connection, commit: &Commit) -> Result<Committed, StoreError> {
    let mut batch = Batch {
        connection,
        at: commit.at,
        route: &commit.route,
        chain: commit.chain.as_ref(),
        done: Committed::default(),
    };
    match &commit.chain {
        Some(chain) => apply_to_chain(&mut batch, chain, commit)?,
        None => refuse_blocks_without_chain(commit)?,
    }
    entries::remember(connection, &commit.entries)?;
    for finding in &commit.findings {
        findings::find(&mut batch, finding)?;
    }
    if let Some(chain) = &commit.chain {
        inspections::done(&mut batch, chain, &commit.inspected)?;
        if let Some(learned) = &commit.learned {
            usage::learn(connection, chain, learned)?;
        }
    }
    for condition in &commit.conditions {
        conditions::change(&mut batch, condition)?;
    }
    rule_errors::count(connection, commit.at, &commit.rule_errors)?;
    Ok(batch.done)
}

fn apply_to_chain(
    batch: &mut Batch<'_>,
    chain: &ChainName,
    commit: &Commit,
) -> Result<(), StoreError> {
    let connection = batch.connection;
    blocks::touch_chain(connection, chain, commit.at)?;

    let mut reverted = commit.reverted.clone();
    // Newest first, whoever put them together.
    reverted.sort_by_key(|link| std::cmp::Reverse(link.block.height));
    for link in &reverted {
        blocks::revert(connection, chain, link)?;
        entries::forget_block(connection, chain, link.block.hash)?;
        upgrades::forget_block(connection, chain, link.block.hash)?;
        inspections::forget_block(connection, chain, &link.block)?;
        usage::forget_block(connection, chain, &link.block)?;
        findings::retract_block(batch, chain, link.block.hash)?;
    }

    for hole in &commit.holes {
        match hole {
            HoleChange::Opened { from, to, reason } => {
                check_order(*from, *to)?;
                coverage::open_hole(connection, chain, *from, *to, reason)?;
            }
            HoleChange::Closed { from, to } => {
                check_order(*from, *to)?;
                coverage::close_hole(connection, chain, *from, *to)?;
            }
        }
    }
    blocks::see(connection, chain, &commit.seen, commit.at)?;
    for (from, to) in &commit.rescanned {
        check_order(*from, *to)?;
        coverage::count_rescan(connection, chain, *from, *to)?;
    }
    for agreed in &commit.agreed {
        if !blocks::conflicts(connection, chain, &agreed.block)? {
            coverage::set_agreed(connection, chain, agreed.block.height, agreed.endpoints)?;
        }
    }
    upgrades::remember(connection, chain, &commit.upgrades)?;
    inspections::wait(connection, chain, &commit.uninspected, commit.at)?;

    if let Some(safe) = &commit.safe {
        blocks::raise_safe(connection, chain, safe)?;
    }
    if let Some(finalized) = &commit.finalized {
        blocks::raise_finalized(connection, chain, finalized)?;
        blocks::raise_safe(connection, chain, finalized)?;
    }
    if commit.safe.is_some() || commit.finalized.is_some() {
        findings::release(batch, chain)?;
    }
    blocks::prune(connection, chain, commit.keep_links)
}

fn check_order(from: Height, to: Height) -> Result<(), StoreError> {
    if from <= to {
        Ok(())
    } else {
        Err(StoreError::Refused(format!("a range from {from} down to {to}")))
    }
}

fn refuse_blocks_without_chain(commit: &Commit) -> Result<(), StoreError> {
    let empty = commit.reverted.is_empty()
        && commit.holes.is_empty()
        && commit.seen.is_empty()
        && commit.rescanned.is_empty()
        && commit.agreed.is_empty()
        && commit.upgrades.is_empty()
        && commit.uninspected.is_empty()
        && commit.inspected.is_empty()
        && commit.learned.is_none()
        && commit.safe.is_none()
        && commit.finalized.is_none();
    if empty {
        Ok(())
    } else {
        Err(StoreError::Refused("blocks in a batch without a chain".to_owned()))
    }
}
