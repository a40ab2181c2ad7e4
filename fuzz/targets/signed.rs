#![no_main]
//! See `sealpost::engine::smime::fuzz::signed`.

mod seeds;

use libfuzzer_sys::fuzz_target;
use sealpost::engine::smime::fuzz;

fuzz_target!(init: seeds::write(), |data: &[u8]| fuzz::signed(data));
