//! NIST's path validation tests (PKITS).
