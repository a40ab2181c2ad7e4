//! Which algorithms count, and what they are called.
