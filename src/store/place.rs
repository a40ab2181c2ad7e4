//! Where the agent's socket lies, and who may put it there: one process at a time, in a folder
//! that nobody else may enter.

use std::path::PathBuf;

use super::access;
use super::files::{self, Lock, Stamp};
use super::home::Home;
use super::policy::{self, Edition};
use crate::base::{Error, Kind, Result};

impl Home {
    /// The socket behind which this folder's agent is, if there is one.
    pub fn agent_socket(&self) -> PathBuf {
        self.agent().join("socket")
    }

    /// Whether an agent can have its socket here. Makes nothing.
    ///
    /// # Errors
    /// `store.unavailable`, with what stands in the way.
    pub fn check_agent(&self) -> Result<()> {
        if self.agent_socket().as_os_str().len() > SOCKET_MAX {
            return Err(Error::new(
                Kind::StoreUnavailable,
                "the path of the folder of state is too long for the agent's socket; set SEALPOST_HOME to a shorter one",
            ));
        }
        files::check_private(&self.agent())
    }
}

/// The longest path of a socket, in bytes: `sun_path`, with the zero at its end.
const SOCKET_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The right to be the agent, for as long as this lives.
pub struct AgentPlace {
    _lock: Lock,
    socket: PathBuf,
    stamp: Option<Stamp>,
    home: Home,
    rules: Edition,
}

impl AgentPlace {
    /// Takes the place, and removes the socket of an agent that has died. `None` when another
    /// process is the agent.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn take(home: &Home) -> Result<Option<AgentPlace>> {
        access::find(home)?;
        let folder = home.agent();
        files::private_folder(&folder)?;
        let Some(lock) = Lock::try_take(&folder.join("lock"))? else {
            return Ok(None);
        };
        let socket = home.agent_socket();
        files::remove(&socket)?;
        Ok(Some(AgentPlace {
            _lock: lock,
            socket,
            stamp: None,
            rules: policy::edition(home),
            home: home.clone(),
        }))
    }

    /// The socket is there from now on.
    pub fn occupied(&mut self) {
        self.stamp = files::stamp(&self.socket);
    }

    /// Whether hosts still find the socket that was there.
    pub fn is_in_place(&self) -> bool {
        self.stamp.is_some() && files::stamp(&self.socket) == self.stamp
    }

    /// Whether the rules are still those that this agent began with.
    pub fn is_up_to_date(&self) -> bool {
        policy::edition(&self.home) == self.rules
    }

    /// The socket is taken away.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn leave(self) -> Result<()> {
        match self.is_in_place() {
            true => files::remove(&self.socket).map(drop),
            // The folder has gone, or somebody else's is there.
            false => Ok(()),
        }
    }
}
