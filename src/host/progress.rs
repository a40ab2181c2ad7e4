//! `$/progress` for clients that asked for it: they time out on silence, never on duration.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::Host;
use super::requests::Request;
use crate::base::job::Stage;
use crate::wire::reply;

/// The longest silence about an unfinished request, with a second to spare before the 5 s
/// that clients count on.
const SILENCE: Duration = Duration::from_secs(4);

#[derive(Serialize)]
struct Progress {
    id: u64,
    stage: Stage,
    done: Option<u64>,
    total: Option<u64>,
}

/// Starts telling. A new stage is told with the next tick.
pub fn start(host: &Arc<Host>) {
    let host = Arc::clone(host);
    let tick = host.settings.tick;
    // Without the thread requests are answered all the same.
    let _ = thread::Builder::new()
        .name("progress".to_owned())
        .spawn(move || {
            while host.requests.wait_for_tick(tick) {
                if !host.outbox.is_behind() {
                    host.requests
                        .tell(SILENCE, &mut |request| tell(&host, request));
                }
            }
        });
}

fn tell(host: &Host, request: &Request) {
    let progress = request.job.progress();
    let told = Progress {
        id: request.id,
        stage: progress.stage,
        done: progress.bytes.map(|(done, _)| done),
        total: progress.bytes.map(|(_, total)| total),
    };
    if let Ok(text) = reply::message(None, "$/progress", &told) {
        host.outbox.send(text);
    }
}
