//! `host/doctor`: what a working host needs, looked at one by one. It answers whatever the rules
//! say, and whoever asks: it is how one finds out what is wrong with them.

use serde::{Deserialize, Serialize};

use std::path::Path;

use super::{Asks, World, keys};
#[cfg(unix)]
use crate::agent::Standing;
use crate::base::body::Bodies;
use crate::base::context::unix;
use crate::base::gnupg::GnuPgState;
use crate::base::keys::{Attention, ModuleState, Protocol};
use crate::base::policy::P11_KIT;
use crate::base::{Context, Error, KeyId, Kind, Result};
use crate::store::{Damage, Reason, program};
use crate::tokens::OUTDATED;

/// A moment at which this program was being written, in Unix seconds (2026-01-01): no clock that
/// goes right is before it.
const WRITTEN: u64 = 1_767_225_600;

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
    /// `home`: what others could do to the folder of state, and what interrupted writers left.
    Home {
        /// Others could write in it until this host came, which has closed it.
        was_open: bool,
        /// The folders above it in which others can put another one in its place.
        loose: Vec<String>,
        /// Temporary files. The next write takes the old ones away.
        leftovers: usize,
    },
    /// `files`: the first hundred that are not as they should be, and how many were looked at.
    Files {
        damaged: Vec<Damage>,
        secrets: usize,
        certificates: usize,
        /// Of the certificates, so many were read: own ones, and a sample of the others.
        looked_at: usize,
    },
    /// `gnupg`: how it stands with it, where its keys are used in place.
    GnuPg { gnupg: GnuPgState },
    /// `modules`: those for tokens that policy names, where it names any.
    Modules { modules: Vec<Module> },
    /// `keys`: how many are own, and which of them end soon or have ended.
    Keys { own: usize, ending: Vec<KeyId> },
    /// `client`, `store`, `clock`: which error stands in the way.
    Plain {
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'static str>,
    },
}

/// One PKCS#11 module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Module {
    /// As policy names it.
    pub module: String,
    pub state: ModuleHealth,
}

/// What a PKCS#11 module is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ModuleHealth {
    Ready,
    Missing,
    /// Others than its owner can change it: it is not loaded for this look.
    Open,
    /// It can't be loaded, or fails.
    Broken,
    /// It does not answer in time.
    Silent,
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
        home(world),
        pinentry(world),
        agent(world, cx),
        engines(world),
        clock(cx),
    ];
    // What lies in the store is for those who may ask for it.
    if world.ready().is_ok() && world.admits().is_ok() {
        checks.push(files(world, cx));
        checks.extend(gnupg(world, cx));
        if !world.policy.pkcs11_modules.is_empty() || world.tokens.is_outdated() {
            checks.push(modules(world));
        }
        checks.push(own_keys(world, cx));
    }
    cx.job.check()?;
    Ok(Reply { checks })
}

/// What is to be done with the first of several.
fn and_more(what: String, all: usize) -> String {
    match all.saturating_sub(1) {
        0 => what,
        more => format!("{what} (and so with {more} more)"),
    }
}

fn home(world: &World) -> Check {
    let found = world.store.surroundings();
    let fix = match (found.was_open, found.loose.first()) {
        (true, _) => Some(
            "others could write in the folder of state until now, and can't any more; look whether its rules, keys and decisions are yours"
                .to_owned(),
        ),
        (false, Some(folder)) => Some(format!(
            "others can put another folder in the place of the folder of state; take their right to write in {folder}"
        )),
        (false, None) => None,
    };
    Check {
        id: "home",
        ok: fix.is_none(),
        data: Data::Home {
            was_open: found.was_open,
            loose: found.loose,
            leftovers: found.leftovers,
        },
        fix,
    }
}

fn files(world: &World, cx: &Context) -> Check {
    let found = match world.store.health(unix(cx.now)) {
        Ok(found) => found,
        Err(error) => return plain("files", Err(error)),
    };
    let fix = found.damaged.first().map(|first| {
        let file = &first.file;
        let what = match first.reason {
            Reason::Damaged => format!("{file} is damaged; restore it from a backup"),
            Reason::Missing => format!("{file} is missing; restore it from a backup"),
            Reason::Open => {
                format!("{file} can be read or changed by others; take their rights to it away")
            }
            Reason::Link => format!("{file} is a link; put the file or folder itself in its place"),
            Reason::Foreign => format!("{file} is another user's; put your own in its place"),
            Reason::NoFile => format!("{file} is no file; move it away, then look again"),
            Reason::NoFolder => format!("{file} is no folder; move it away, then look again"),
            Reason::Alone => format!(
                "{file} is a secret key without its certificate; restore or import that, or take the file away if making the key was interrupted"
            ),
        };
        and_more(what, found.damaged.len())
    });
    Check {
        id: "files",
        ok: fix.is_none(),
        data: Data::Files {
            damaged: found.damaged,
            secrets: found.secrets,
            certificates: found.certificates,
            looked_at: found.looked_at,
        },
        fix,
    }
}

/// Whether GnuPG answers. `None` where it is not used.
fn gnupg(world: &World, cx: &Context) -> Option<Check> {
    let state = super::gnupg::standing(world, cx)?;
    let fix = match state {
        _ if super::gnupg::is_well(world, state) => None,
        GnuPgState::Missing => Some(
            "gpg is not there, which has keys of yours; install GnuPG, or make it known to the PATH",
        ),
        GnuPgState::Silent => Some(
            "gpg does not answer, so its keys may be missing here; see what this does: gpg --list-secret-keys, or set gnupg = false in policy.toml",
        ),
        GnuPgState::Broken | GnuPgState::Ready => Some(
            "gpg fails, so its keys may be missing here; see what this says: gpg --list-secret-keys, or set gnupg = false in policy.toml",
        ),
    };
    Some(Check {
        id: "gnupg",
        ok: fix.is_none(),
        data: Data::GnuPg { gnupg: state },
        fix: fix.map(str::to_owned),
    })
}

/// Whether each module is there, is nobody else's to change, and can be loaded.
fn modules(world: &World) -> Check {
    let named = &world.policy.pkcs11_modules;
    let outside = |path: &Path| match path == Path::new(P11_KIT) {
        true => None,
        false => program(path),
    };
    let mut modules: Vec<Module> = named
        .iter()
        .map(|path| Module {
            module: path.display().to_string(),
            state: match outside(path) {
                None => ModuleHealth::Ready,
                Some(Reason::Missing) => ModuleHealth::Missing,
                Some(Reason::Open) => ModuleHealth::Open,
                Some(_) => ModuleHealth::Broken,
            },
        })
        .collect();
    // All of them are loaded together; what others can change is not loaded for a look.
    let loads = modules.iter().all(|one| one.state != ModuleHealth::Open);
    if loads && let Ok(looks) = world.tokens.look() {
        for (one, look) in modules.iter_mut().zip(looks) {
            one.state = match (one.state, look.state) {
                (ModuleHealth::Ready, ModuleState::Broken) => ModuleHealth::Broken,
                (ModuleHealth::Ready, ModuleState::Silent) => ModuleHealth::Silent,
                (state, _) => state,
            };
        }
    }
    let mut fix = modules.iter().find_map(|one| {
        let module = &one.module;
        match one.state {
            ModuleHealth::Ready => None,
            ModuleHealth::Missing => Some(format!(
                "{module} is not there; install it, or take it out of pkcs11-modules in policy.toml"
            )),
            ModuleHealth::Open => Some(format!(
                "{module} can be changed by others; take their right to write to it or its folder"
            )),
            ModuleHealth::Broken => Some(format!(
                "{module} can't be loaded; mend it, or take it out of pkcs11-modules in policy.toml"
            )),
            ModuleHealth::Silent => Some(format!(
                "{module} does not answer; look after its reader, or take it out of pkcs11-modules in policy.toml"
            )),
        }
    });
    if fix.is_none() && world.tokens.is_outdated() {
        fix = Some(OUTDATED.to_owned());
    }
    Check {
        id: "modules",
        ok: fix.is_none(),
        data: Data::Modules { modules },
        fix,
    }
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

fn clock(cx: &Context) -> Check {
    let fix = (unix(cx.now) < WRITTEN).then_some(
        "the clock is years behind; set it, or new keys and signatures bear a wrong date",
    );
    Check {
        id: "clock",
        ok: fix.is_none(),
        data: Data::Plain { error: None },
        fix: fix.map(str::to_owned),
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
    let fix = match (own, ending.first()) {
        (0, _) => Some("there is no key of your own; make one, or import it".to_owned()),
        (_, Some(first)) => {
            let what = format!("your key {first} ends soon or has ended; renew it");
            Some(and_more(what, ending.len()))
        }
        (_, None) => None,
    };
    Check {
        id: "keys",
        ok: fix.is_none(),
        data: Data::Keys { own, ending },
        fix,
    }
}
