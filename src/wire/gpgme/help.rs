//! What `help` says.

use super::OPERATIONS;

/// What `getmore` is.
pub const GETMORE: &str = "op: \"getmore\"\n\n\
    Gives the next piece of an answer to a request with chunksize.\n\n\
    Optional:\n\
    chunksize  the most bytes of the object that carries the piece\n\n\
    Answer:\n\
    base64     true\n\
    more       whether there is another piece\n\
    response   the piece: base64 of a part of the answer's JSON";

/// All operations, and what they have in common.
pub fn overview() -> String {
    let mut text = "A request is one JSON object, and so is its answer. \"op\" names the \
        operation; with \"help\": true it is explained and not run.\n\nOperations:\n"
        .to_owned();
    for name in OPERATIONS.iter().map(|operation| operation.name) {
        text.push_str(&format!("  {name}\n"));
    }
    text.push_str(
        "  getmore\n  help\n\nWith \"chunksize\", a number of bytes, an answer comes in pieces of \
        at most that size; see getmore.",
    );
    text
}
