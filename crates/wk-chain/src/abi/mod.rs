//! ABIs in every common format, and decoding with them.
