//! `host/doctor`: what a working host needs, looked at one by one. It answers whatever the rules
//! say, and whoever asks: it is how one finds out what is wrong with them.

use serde::{Deserialize, Serialize};

use super::{Asks, World, keys};
#[cfg(unix)]
use crate::agent::Standing;
use crate::base::body::Bodies;
use crate::base::keys::{Attention, Protocol};
use crate::base::{Context, Error, KeyId, Kind, Result};

/// `host/doctor`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Reply {
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    pub id: &'static str,
    pub ok: bool,
    pub data: Data,
    /// What to do, where it is not as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// What a check found, by its id.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Data {
    /// `policy`: where it can't be read.
    Policy {
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
    },
    /// `pinentry`.
    Pinentry {
        pinentry: Pinentry,
        /// Without one, a client may be asked for passphrases.
        ask_client: bool,
    },
    /// `agent`: the process that holds the unlocked keys.
    Agent { agent: AgentState },
    /// `engines`: the families that are used.
    Engines { engines: Vec<Protocol> },
    /// `keys`: how many are own, and which of them end soon or have ended.
    Keys { own: usize, ending: Vec<KeyId> },
    /// `client`, `store`: which error stands in the way.
    Plain {
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'static str>,
    },
}

/// The program that asks for passphrases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pinentry {
    Found,
    /// It is not where it ought to be.
    Missing,
    /// None is wanted.
    Off,
}

/// How things stand with the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentState {
    Running,
    /// None is there now; it starts when a key is used.
    Absent,
    /// None is wanted.
    Off,
    /// It does not answer.
    Silent,
    /// It has too many hosts.
    Busy,
    OtherVersion,
    /// It can't be started.
    Failed,
    /// There is no place for its socket.
    NoPlace,
}

impl Bodies for Request {}
impl Bodies for Reply {}
impl Asks for Request {}

/// Looks at everything. What is wrong is told in the checks.
///
/// # Errors
/// `cancelled`.
pub fn doctor(world: &World, _request: &Request, cx: &Context) -> Result<Reply> {
    let mut checks = vec![
        policy(world),
        plain("client", world.admits()),
        plain("store", world.store.check()),
        pinentry(world),
        agent(world, cx),
        engines(world),
    ];
    // What lies in the store is for those who may ask for it.
    if world.ready().is_ok() && world.admits().is_ok() {
        checks.push(own_keys(world, cx));
    }
    cx.job.check()?;
    Ok(Reply { checks })
}

fn policy(world: &World) -> Check {
    let (file, line, fix) = match world.ready() {
        Ok(()) => (None, None, None),
        Err(error) => match error.kind {
            Kind::PolicyRefused { file, line, .. } => (file, line, Some(error.message)),
            _ => (None, None, Some(error.message)),
        },
    };
    Check {
        id: "policy",
        ok: fix.is_none(),
        data: Data::Policy { file, line },
        fix,
    }
}

/// A check that either went well or ended with an error, whose sentence says what to do.
fn plain(id: &'static str, went: Result<()>) -> Check {
    let error: Option<Error> = went.err();
    Check {
        id,
        ok: error.is_none(),
        data: Data::Plain {
            error: error.as_ref().map(|error| error.kind.name()),
        },
        fix: error.map(|error| error.message),
    }
}

fn pinentry(world: &World) -> Check {
    let pinentry = world.pinentry();
    let fix = match pinentry {
        Pinentry::Found => None,
        Pinentry::Missing => Some("install pinentry, or name it in SEALPOST_PINENTRY"),
        Pinentry::Off => Some("nobody is asked outside the browser; unset SEALPOST_PINENTRY"),
    };
    Check {
        id: "pinentry",
        ok: fix.is_none(),
        data: Data::Pinentry {
            pinentry,
            ask_client: world.policy.ask_client,
        },
        fix: fix.map(str::to_owned),
    }
}

/// What this process can see of the agent, without starting one.
fn agent(world: &World, cx: &Context) -> Check {
    let (agent, fix) = standing(world, cx);
    Check {
        id: "agent",
        ok: fix.is_none(),
        data: Data::Agent { agent },
        fix,
    }
}

#[cfg(unix)]
fn standing(world: &World, cx: &Context) -> (AgentState, Option<String>) {
    let Some(agent) = &world.agent else {
        return (AgentState::Off, None);
    };
    if let Err(error) = world.store.home().check_agent() {
        return (AgentState::NoPlace, Some(error.message));
    }
    let (state, fix) = match agent.standing(&cx.job) {
        Standing::Running => return (AgentState::Running, None),
        Standing::Absent => return (AgentState::Absent, None),
        Standing::Silent => (
            AgentState::Silent,
            "the agent does not answer, so each host asks for itself; end it with: sealpost agent --end",
        ),
        Standing::Busy => (
            AgentState::Busy,
            "the agent has too many hosts; close some browsers, or end it with: sealpost agent --end",
        ),
        Standing::Other => (
            AgentState::OtherVersion,
            "the agent is of another version; start all browsers anew, or end it with: sealpost agent --end",
        ),
        Standing::Failed => (
            AgentState::Failed,
            "the agent can't be started, so each host asks for itself; start the browser anew, or see what this says: sealpost agent",
        ),
    };
    (state, Some(fix.to_owned()))
}

#[cfg(not(unix))]
fn standing(_: &World, _: &Context) -> (AgentState, Option<String>) {
    (AgentState::Off, None)
}

fn engines(world: &World) -> Check {
    let engines = world.protocols();
    let none = engines.is_empty();
    Check {
        id: "engines",
        ok: !none,
        data: Data::Engines { engines },
        fix: none.then(|| "policy.toml leaves no protocol; add one to protocols".to_owned()),
    }
}

fn own_keys(world: &World, cx: &Context) -> Check {
    let (mut own, mut ending) = (0_usize, Vec::new());
    let mut request = keys::ListRequest {
        secret: Some(true),
        ..keys::ListRequest::default()
    };
    loop {
        let page = match keys::list(world, &request, cx) {
            Ok(page) => page,
            Err(error) => return plain("keys", Err(error)),
        };
        own = own.saturating_add(page.keys.len());
        for key in page.keys {
            let ends = |a: &Attention| matches!(a, Attention::ExpiresSoon | Attention::Expired);
            if key.attention.iter().any(ends) {
                ending.push(key.id);
            }
        }
        match page.cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => break,
        }
    }
    let fix = match (own, ending.is_empty()) {
        (0, _) => Some("there is no key of your own; make one, or import it"),
        (_, false) => Some("a key of your own ends soon or has ended; renew it"),
        (_, true) => None,
    };
    Check {
        id: "keys",
        ok: fix.is_none(),
        data: Data::Keys { own, ending },
        fix: fix.map(str::to_owned),
    }
}
