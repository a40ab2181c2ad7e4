//! `sealpost agent`: the process that holds unlocked keys; and how hosts come to one.

use std::env;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::SystemTime;

use super::print;
use crate::agent::{self, Fate, Means, Start, Starting, Surroundings};
use crate::base::context::unix;
use crate::base::keys::Private;
use crate::base::{Error, Result};
use crate::desktop;
use crate::host::{logging, process};
use crate::store::{AgentPlace, Home};
use crate::verbs::World;

/// The world with its unlocked keys in the agent, unless `SEALPOST_AGENT` is `none`.
pub fn through(world: World) -> World {
    match env::var_os("SEALPOST_AGENT") {
        Some(agent) if agent == "none" => world,
        _ => world.through_agent(Means {
            start: start(),
            watch: Box::new(watch),
        }),
    }
}

/// Locks all keys, of every host, when the person goes away.
fn watch(keys: &Private) {
    let keys = Arc::clone(keys);
    desktop::watch(move || {
        log::info!("agent: locked, the person has gone");
        agent::lock_all(&keys);
    });
}

/// Starts this program once more, as the agent. It leaves the browser's session by itself.
fn start() -> Start {
    Box::new(|| {
        let program = env::current_exe().ok()?;
        process::keep_files();
        let mut child = Command::new(program)
            .arg("agent")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let ended: Arc<OnceLock<Fate>> = Arc::default();
        let fate = Arc::clone(&ended);
        // So that nothing is left of it when it ends before us.
        thread::Builder::new()
            .name("agent".to_owned())
            .spawn(move || {
                let well = child.wait().is_ok_and(|status| status.success());
                fate.set(if well { Fate::Yielded } else { Fate::Failed })
            })
            .ok()?;
        let starting: Starting = Box::new(move || ended.get().copied().unwrap_or(Fate::Running));
        Some(starting)
    })
}

/// `sealpost agent`: holds keys for the hosts of this person until nobody needs them. Ends at
/// once when there is an agent already.
///
/// # Errors
/// `store.unavailable` when its socket can't be made.
pub fn run() -> Result<()> {
    process::harden();
    // Already the first of a session when a person starts it by hand: that is as good.
    let _ = rustix::process::setsid();
    let home = Home::from_env()?;
    let Some(mut place) = AgentPlace::take(&home)? else {
        return Ok(());
    };
    logging::start(&home.state);
    let listener = UnixListener::bind(home.agent_socket()).map_err(|e| {
        Error::new(
            crate::base::Kind::StoreUnavailable,
            "the agent can't make its socket in the folder of state; hosts do without it",
        )
        .because(e)
    })?;
    place.occupied();
    // No folder is held that somebody wants to unmount.
    let _ = env::set_current_dir("/");
    log::info!("agent: begins, process {}", std::process::id());
    let keys = World::open(home).private();
    let place = Arc::new(place);
    let theirs = Arc::clone(&place);
    let surroundings = Surroundings {
        now: || unix(SystemTime::now()),
        in_place: Box::new(move || theirs.is_in_place() && theirs.is_up_to_date()),
    };
    watch(&keys);
    agent::serve(listener, keys, &surroundings);
    drop(surroundings);
    Arc::into_inner(place).map_or(Ok(()), AgentPlace::leave)
}

/// `sealpost agent --end`: everything is locked, in hosts without an agent too, and the agent is
/// gone, even if it listens to nobody.
///
/// # Errors
/// `store.unavailable` when there is no folder of state, when hosts that hold keys themselves
/// can't be told, or when the agent can't be reached.
pub fn end() -> Result<()> {
    let home = Home::from_env()?;
    let socket = home.agent_socket();
    let posted = World::open(home).lock(None);
    match agent::end(&socket)? {
        true => print::note("the agent has ended; all keys are locked"),
        false => print::note("there is no agent; all keys are locked"),
    }
    posted
}
