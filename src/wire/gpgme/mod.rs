//! The dialect of gpgme-json: one JSON object for another, without ids and one after the other.
//!
//! `request` reads what came, `pieces` cuts what goes; each operation has its file, which reads its
//! fields, calls its verb and says what it is in `help`. Which operations there are stands here.

use serde::Serialize;

use crate::base::body::Wiped;
use crate::base::{Context, Error};
use crate::verbs::World;
use crate::verbs::gpgme::{Code, Fault};

mod config;
mod createkey;
mod decrypt;
mod delete;
mod encrypt;
mod export;
mod help;
mod identify;
mod import;
mod keylist;
pub mod pieces;
pub mod request;
mod sign;
mod verify;
mod version;

pub use help::{GETMORE, overview};
use request::Fields;

/// What an operation runs in.
pub struct Run<'a> {
    pub world: &'a World,
    /// Makes the context of one run. Not every operation wants one, and what GnuPG has is looked
    /// at when it is made.
    pub context: &'a dyn Fn() -> Context,
}

/// One operation.
pub struct Operation {
    pub name: &'static str,
    /// What it is, for people.
    pub help: &'static str,
    /// Runs it, and gives the answer's text.
    pub run: fn(&Fields, &Run<'_>) -> Result<Wiped, Fault>,
}

/// All operations but `getmore` and `help`, which are of the conversation itself.
pub const OPERATIONS: &[Operation] = &[
    config::CONFIG,
    config::CONFIG_OPT,
    createkey::OPERATION,
    decrypt::OPERATION,
    delete::OPERATION,
    encrypt::OPERATION,
    export::OPERATION,
    identify::OPERATION,
    import::OPERATION,
    keylist::OPERATION,
    sign::OPERATION,
    verify::OPERATION,
    version::OPERATION,
];

/// The operation of that name.
pub fn operation(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

/// The text of an answer.
///
/// # Errors
/// General error: a fault of ours.
pub fn answer(reply: &impl Serialize) -> Result<Wiped, Fault> {
    serde_json::to_vec(reply).map(Wiped::new).map_err(|e| {
        Error::internal("an answer can't be written")
            .because(e)
            .into()
    })
}

#[derive(Serialize)]
struct Failed<'a> {
    r#type: &'static str,
    msg: &'a str,
    code: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<&'a str>,
}

#[derive(Serialize)]
struct Explained<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<&'a str>,
    msg: &'a str,
}

/// The answer that says what went wrong.
pub fn failed(msg: &str, code: Code, op: Option<&str>) -> Wiped {
    let failed = Failed {
        r#type: "error",
        msg,
        code: code.number(),
        op,
    };
    answer(&failed).unwrap_or_else(|_| Wiped::new(b"{}".to_vec()))
}

/// The answer that explains an operation, or all of them.
pub fn explained(msg: &str, op: Option<&str>) -> Wiped {
    let explained = Explained {
        r#type: "help",
        op,
        msg,
    };
    answer(&explained).unwrap_or_else(|_| Wiped::new(b"{}".to_vec()))
}
