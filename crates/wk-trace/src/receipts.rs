//! Receipts alone: who called what, and the logs; the calls in between are not known.

use crate::builder::Builder;
use crate::call_tracer::LogFields;
use crate::json::{JsonError, Raw};
use crate::model::{FrameKind, NO_FRAME};

/// Puts one receipt into `builder`.
pub(crate) fn build(receipt: Raw<'_>, builder: &mut Builder) -> Result<(), JsonError> {
    let (mut from, mut to, mut created) = (None, None, None);
    let mut logs = None;
    for member in receipt.members() {
        let (key, value) = member?;
        match key {
            b"transactionHash" => builder.trace().hash = value.hash(),
            b"transactionIndex" => builder.trace().index = value.small(),
            b"blockNumber" => builder.trace().block = value.small(),
            b"gasUsed" => builder.trace().gas_used = value.small(),
            b"status" => builder.trace().success = value.small() != Some(0),
            b"from" => from = value.address(),
            b"to" => to = value.address(),
            b"contractAddress" => created = value.address(),
            b"logs" => logs = Some(value),
            _ => {}
        }
    }
    let Some(at) = builder.open_frame(None) else { return Ok(()) };
    let kind = if to.is_none() { FrameKind::Create } else { FrameKind::Call };
    let to = to.or(created).unwrap_or_default();
    builder.set_parties(at, kind, from.unwrap_or_default(), to);
    if !builder.trace().success {
        builder.frame(at).error = Some("failed".into());
    }
    if let Some(logs) = logs {
        read_logs(logs, builder)?;
    }
    Ok(())
}

/// Logs of a whole transaction, whose places among the frames are not told.
pub(crate) fn read_logs(logs: Raw<'_>, builder: &mut Builder) -> Result<(), JsonError> {
    for log in logs.elements() {
        let fields = LogFields::read(log?)?;
        let Some(address) = fields.address else { continue };
        let data = builder.hex(fields.data);
        builder.log(address, fields.topics, data, NO_FRAME, NO_FRAME);
    }
    builder.trace().known.logs = true;
    Ok(())
}
