//! Sets of block ranges: which heights are covered, and where the holes are.
