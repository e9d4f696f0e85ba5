//! Wires the parts: from a block to a delivered finding.
