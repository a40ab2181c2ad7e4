//! BER taken apart: definite and indefinite lengths, constructed strings joined, and nothing
//! copied that need not be. Not a validator: what a structure means is told elsewhere.
