//! The method table: which name on the wire is which verb.
