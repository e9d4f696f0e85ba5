//! Gzip or plain, told apart by content, within a size limit.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;

/// Why packed bytes could not be had in the open.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The gzip stream is broken.
    #[error("broken gzip data")]
    Gzip(#[source] std::io::Error),
    /// It would become larger than the caller allows.
    #[error("more than {limit} bytes when unpacked")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
}

/// The bytes themselves, or what they unpack to when they are gzip.
pub fn unpack(bytes: &[u8], limit: u64) -> Result<Cow<'_, [u8]>, UnpackError> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return if bytes.len() as u64 > limit {
            Err(UnpackError::TooLarge { limit })
        } else {
            Ok(Cow::Borrowed(bytes))
        };
    }
    let mut open = Vec::with_capacity(bytes.len().saturating_mul(8).min(1 << 26));
    let mut decoder = MultiGzDecoder::new(bytes).take(limit.saturating_add(1));
    decoder.read_to_end(&mut open).map_err(UnpackError::Gzip)?;
    if open.len() as u64 > limit {
        return Err(UnpackError::TooLarge { limit });
    }
    Ok(Cow::Owned(open))
}
