//! Tests through the front door: the real binary, started as a browser starts it, an empty
//! home, frames in and frames out.
//!
//! `SEALPOST_LONG=1` runs the long forms. `SEALPOST_SHARED` names the folder that holds
//! `corpora/` (default: `../shared` beside the project).
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::needless_pass_by_value
)]

mod harness;
mod marionette;
mod mime;
mod packets;
mod peer;
mod senses;
mod servers;
mod trio;

mod acceptance;
mod agent;
mod agent_trouble;
mod answers;
mod asking;
mod asks;
mod autocrypt;
mod backup;
mod badinput;
mod badkeys;
mod bcc;
mod bouncy;
mod cards;
mod choosing;
mod corpora;
mod costly;
mod covert;
mod desktop;
mod dialogue;
mod directories;
mod discover;
mod doctor;
mod drafts;
mod errant;
mod false_gnupg;
mod false_pinentry;
mod forged;
mod gnupg;
mod gpgme;
mod gpgme_reference;
mod html;
mod install;
mod introducers;
mod layers;
mod life;
mod lookalikes;
mod openness;
mod parts;
mod peers;
mod plainly;
mod plans;
mod policy;
mod protection;
mod questions;
mod quoted;
mod reading;
mod revocation;
mod roads;
mod roundtrip;
mod rules;
mod samples;
mod setup;
mod shown;
mod smime;
mod smime_attacks;
mod sop;
mod store;
mod texts;
mod thunderbird;
mod tokens;
mod twice;
mod upstream;
mod vectors;
mod within;
