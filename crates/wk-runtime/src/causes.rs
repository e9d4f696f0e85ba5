//! An error together with what caused it, as one line.

use std::error::Error;

/// The error and its causes, outermost first; a cause that was already said is not said again.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let part = cause.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("no answer")]
    struct Inner;

    #[derive(Debug, thiserror::Error)]
    #[error("the call failed: no answer")]
    struct Repeating(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("block 7 is missing")]
    struct Outer(#[source] Repeating);

    #[test]
    fn causes_follow_and_are_said_once() {
        assert_eq!(
            with_causes(&Outer(Repeating(Inner))),
            "block 7 is missing: the call failed: no answer"
        );
    }
}
