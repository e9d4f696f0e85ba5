//! The settings of the whole program: loading, secrets, schema, and errors that say what to mend.
