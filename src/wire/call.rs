//! A request that was read, and what it gives, whatever their types: what the host holds.
//!
//! A [`Call`] can be run again: a question ends the first run, and the answer starts the
//! next. [`Service`] is what stands behind the method names. There are two: the verbs
//! ([`super::methods`]), and the small one that the host's own tests talk to.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::params;
use crate::base::ask::Answers;
use crate::base::body::{Bodies, Body};
use crate::base::job::Job;
use crate::base::policy::Policy;
use crate::base::{Context, Error, KeyId, Protocol, Result, Secret};
use crate::verbs::{Ask, Asks};

/// What answers requests.
pub trait Service: Send + Sync {
    /// Every method, in the order in which `hello` lists them.
    fn methods(&self) -> &[&'static str];

    /// Whether this client may use a method, those of the host itself included, by the rules
    /// that are there now. Asked before each run.
    ///
    /// # Errors
    /// `policy.refused`.
    fn admit(&self, method: &str) -> Result<()>;

    /// Reads one request; its bodies may still name blobs.
    ///
    /// # Errors
    /// `request.invalid`.
    fn read(&self, method: &'static str, params: &str) -> Result<Box<dyn Call>>;

    /// The families of keys that it knows.
    fn protocols(&self) -> Vec<Protocol>;

    /// What a call of this instant may know.
    fn context(&self, now: SystemTime, job: Arc<Job>, answers: Arc<Answers>) -> Context;

    /// Opens a key with the passphrase that the person gave.
    ///
    /// # Errors
    /// `passphrase.wrong`; whatever makes the key unusable.
    fn unlock(&self, id: &KeyId, passphrase: &Secret, now: SystemTime) -> Result<()>;

    /// The rules in force.
    fn policy(&self) -> Arc<Policy>;

    /// Wipes the keys whose time is over at `now`.
    fn expire(&self, now: SystemTime);

    /// Forgets what must not outlive the conversation: unlocked keys.
    fn wipe(&self);
}

/// A request that was read.
pub trait Call: Send + Sync {
    /// Shows every body of the request.
    ///
    /// # Errors
    /// The first of `visit`.
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()>;

    /// Whether the person may be asked.
    fn ask(&self) -> Ask;

    /// Where it comes from, as the client claims.
    fn origin(&self) -> Option<&str>;

    /// Runs it, from its start.
    ///
    /// # Errors
    /// The verb's.
    fn run(&self, context: &Context) -> Result<Box<dyn Reply>>;
}

/// What a call gave.
pub trait Reply: Send {
    /// Shows every body of the result.
    ///
    /// # Errors
    /// The first of `visit`.
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()>;

    /// Appends the result's JSON text.
    ///
    /// # Errors
    /// `internal` for a result that is no JSON.
    fn write(&self, text: &mut Vec<u8>) -> Result<()>;
}

impl<R: Serialize + Bodies + Send> Reply for R {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        Bodies::bodies(self, visit)
    }

    fn write(&self, text: &mut Vec<u8>) -> Result<()> {
        serde_json::to_writer(text, self)
            .map_err(|error| Error::internal("the result can't be written as JSON").because(error))
    }
}

/// Where the world is, as it is when it is asked for.
pub type Present<W> = Arc<dyn Fn() -> Arc<W> + Send + Sync>;

/// Reads the request of `verb`, a function of the world `W`. Each run gets the present one.
///
/// # Errors
/// `request.invalid`.
pub fn read<W, Q, R>(
    world: &Present<W>,
    verb: fn(&W, &Q, &Context) -> Result<R>,
    params: &str,
) -> Result<Box<dyn Call>>
where
    W: Send + Sync + 'static,
    Q: DeserializeOwned + Bodies + Asks + Send + Sync + 'static,
    R: Serialize + Bodies + Send + 'static,
{
    Ok(Box::new(Typed {
        world: Arc::clone(world),
        verb,
        request: params::read::<Q>(params)?,
    }))
}

struct Typed<W, Q, R> {
    world: Present<W>,
    verb: fn(&W, &Q, &Context) -> Result<R>,
    request: Q,
}

impl<W, Q, R> Call for Typed<W, Q, R>
where
    W: Send + Sync,
    Q: Bodies + Asks + Send + Sync,
    R: Serialize + Bodies + Send + 'static,
{
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.request.bodies(visit)
    }

    fn ask(&self) -> Ask {
        self.request.ask()
    }

    fn origin(&self) -> Option<&str> {
        self.request.origin()
    }

    fn run(&self, context: &Context) -> Result<Box<dyn Reply>> {
        let reply = (self.verb)(&(self.world)(), &self.request, context)?;
        Ok(Box::new(reply))
    }
}
