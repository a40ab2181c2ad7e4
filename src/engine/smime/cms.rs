//! What a CMS object is: its content type and its parts, field by field (RFC 5652, 5083, 3274).
