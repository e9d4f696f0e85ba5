//! `findings`: what was found, and the messages about it that could not be delivered.

use std::path::Path;

use serde_json::{Value, json};
use wk_model::{ChainName, FindingId, Timestamp};
use wk_runtime::Clock;
use wk_store::{
    FindingQuery, FindingRow, LARGEST_PAGE, OutboxId, OutboxQuery, OutboxRow, OutboxState,
};

use super::{data_dir, open_to_read, open_to_write};
use crate::arguments::{Findings, FindingsAction};
use crate::exit::{Code, Exit};
use crate::output::Output;

pub(crate) async fn run(
    command: Findings,
    config: Option<&Path>,
    output: Output,
) -> Result<(), Exit> {
    let folder = data_dir(command.data_dir.clone(), config)?;
    match &command.action {
        None => list(&folder, &command, output).await,
        Some(FindingsAction::Show { id }) => show(&folder, *id, output).await,
        Some(FindingsAction::Dead) => dead(&folder, output).await,
        Some(FindingsAction::Resend { id }) => resend(&folder, *id, output).await,
    }
}

async fn list(folder: &Path, command: &Findings, output: Output) -> Result<(), Exit> {
    let store = open_to_read(folder)?;
    let mut query = FindingQuery {
        status: command.status.clone(),
        severity: command.severity.clone(),
        source: command.source.clone(),
        chain: command.chain.as_deref().map(ChainName::new),
        limit: LARGEST_PAGE,
        ..FindingQuery::default()
    };
    let wanted = command.limit as usize;
    let mut rows: Vec<Value> = Vec::new();
    loop {
        let page = store.findings(query.clone()).await?;
        rows.extend(page.items.iter().take(wanted - rows.len()).map(row));
        query.cursor = page.next;
        if rows.len() == wanted || query.cursor.is_none() {
            break;
        }
    }
    output.rows(&["seen_at", "severity", "status", "source", "block", "title", "id"], &rows)?;
    Ok(())
}

fn row(row: &FindingRow) -> Value {
    let finding = &row.finding;
    let block = finding.position.as_ref().map(|position| position.block.height);
    json!({
        "id": finding.id,
        "seen_at": finding.seen_at.to_string(),
        "severity": finding.severity,
        "status": row.status,
        "source": finding.source.name(),
        "source_kind": finding.source.kind(),
        "class": finding.class,
        "asset": finding.asset,
        "chain": row.chain,
        "block": block,
        "title": finding.title,
        "position": finding.position,
        "evidence": finding.evidence,
        "labels": finding.labels,
        "deliver": finding.deliver,
        "revision": row.revision,
    })
}

async fn show(folder: &Path, id: FindingId, output: Output) -> Result<(), Exit> {
    let found = open_to_read(folder)?.finding(id).await?;
    let found =
        found.ok_or_else(|| Exit::new(Code::NotFound, format!("there is no finding {id}")))?;
    output.object(&row(&found))?;
    Ok(())
}

async fn dead(folder: &Path, output: Output) -> Result<(), Exit> {
    let store = open_to_read(folder)?;
    let mut query =
        OutboxQuery { state: vec![OutboxState::Dead], limit: LARGEST_PAGE, ..Default::default() };
    let mut rows: Vec<Value> = Vec::new();
    loop {
        let page = store.outbox(query.clone()).await?;
        rows.extend(page.items.iter().map(message_row));
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    output.rows(&["id", "target", "kind", "title", "attempts", "last_error"], &rows)?;
    Ok(())
}

fn message_row(row: &OutboxRow) -> Value {
    json!({
        "id": row.id.0,
        "target": row.receiver,
        "kind": row.notice.kind,
        "finding": row.finding,
        "title": row.notice.finding.title,
        "attempts": row.attempts,
        "created_at": row.created_at.to_string(),
        "last_error": row.last_error,
    })
}

async fn resend(folder: &Path, id: Option<i64>, output: Output) -> Result<(), Exit> {
    let store = open_to_write(folder)?;
    let now: Timestamp = Clock::system().now();
    let count = match id {
        None => store.resend_all(None, now).await?,
        Some(id) if store.resend(OutboxId(id), now).await? => 1,
        Some(id) => {
            return Err(Exit::new(Code::NotFound, format!("there is no dead message {id}")));
        }
    };
    output.object(&json!({"resent": count}))?;
    Ok(())
}
