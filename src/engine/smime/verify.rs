//! SignedData (RFC 5652 5), its content inside or apart.
