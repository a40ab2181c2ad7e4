//! Addresses as they stand in URLs and in questions to servers.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::base::Address;

/// All but the characters that are nothing but themselves anywhere in a URL (RFC 3986 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A text as a part of a URL.
pub(super) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// An address as servers know it: its domain as A-labels.
pub(super) fn plain(address: &Address) -> String {
    format!("{}@{}", address.local(), address.domain())
}
