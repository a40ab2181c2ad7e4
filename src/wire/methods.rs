//! The method table: which name on the wire is which verb.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::call::{Call, Present, Service, read};
use crate::base::ask::Answers;
use crate::base::job::Job;
use crate::base::policy::Policy;
use crate::base::{Context, Error, KeyId, Protocol, Result, Secret};
use crate::verbs::{
    World, anchors, answer, autocrypt, backup, doctor, keys, open, plan, policy, seal, setup, text,
};

/// Every method that is a verb, in the order in which `hello` lists them.
pub const METHODS: [&str; 40] = [
    "message/open",
    "message/seal",
    "message/plan",
    "message/answer",
    "keys/list",
    "keys/show",
    "keys/generate",
    "keys/import",
    "keys/tokens",
    "keys/export",
    "keys/delete",
    "keys/accept",
    "keys/settle",
    "keys/introduce",
    "keys/dismiss",
    "keys/renew",
    "keys/revoke",
    "keys/passphrase",
    "keys/address",
    "keys/subkey",
    "keys/unlock",
    "keys/lock",
    "keys/discover",
    "keys/publish",
    "text/decrypt",
    "text/verify",
    "text/encrypt",
    "text/sign",
    "autocrypt/header",
    "autocrypt/process",
    "autocrypt/peer",
    "autocrypt/prefer",
    "autocrypt/setup",
    "anchors/list",
    "anchors/add",
    "anchors/remove",
    "policy/show",
    "host/doctor",
    "backup/write",
    "backup/read",
];

/// What answers whoever asks, and whatever the rules say: it tells what is wrong with them.
const ALWAYS: [&str; 2] = ["hello", "host/doctor"];

/// The verbs as a service.
pub struct Verbs {
    world: Arc<Mutex<Arc<World>>>,
}

impl Verbs {
    /// The verbs over this world.
    pub fn new(world: Arc<World>) -> Verbs {
        Verbs {
            world: Arc::new(Mutex::new(world)),
        }
    }

    /// The world under the rules that were looked at last.
    fn world(&self) -> Arc<World> {
        Arc::clone(&held(&self.world))
    }

    /// The world under the rules that are there now. When they have changed, what this process
    /// holds unlocked is wiped, as their agent does.
    fn present(&self) -> Arc<World> {
        let mut world = held(&self.world);
        if let Some(next) = world.under_present_rules() {
            log::info!("rules: changed");
            next.wipe();
            *world = Arc::new(next);
        }
        Arc::clone(&world)
    }
}

fn held(world: &Mutex<Arc<World>>) -> MutexGuard<'_, Arc<World>> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service for Verbs {
    fn methods(&self) -> &[&'static str] {
        &METHODS
    }

    fn admit(&self, method: &str) -> Result<()> {
        let world = self.present();
        if ALWAYS.contains(&method) {
            return Ok(());
        }
        world.ready()?;
        world.admits()
    }

    fn read(&self, method: &'static str, params: &str) -> Result<Box<dyn Call>> {
        self.admit(method)?;
        let shared = Arc::clone(&self.world);
        let world: &Present<World> = &(Arc::new(move || Arc::clone(&held(&shared))) as _);
        match method {
            "message/open" => read(world, open::open, params),
            "message/seal" => read(world, seal::seal, params),
            "message/plan" => read(world, plan::plan, params),
            "message/answer" => read(world, answer::answer, params),
            "keys/list" => read(world, keys::list, params),
            "keys/show" => read(world, keys::show, params),
            "keys/generate" => read(world, keys::generate, params),
            "keys/import" => read(world, keys::import, params),
            "keys/tokens" => read(world, keys::tokens, params),
            "keys/export" => read(world, keys::export, params),
            "keys/delete" => read(world, keys::delete, params),
            "keys/accept" => read(world, keys::accept, params),
            "keys/settle" => read(world, keys::settle, params),
            "keys/introduce" => read(world, keys::introduce, params),
            "keys/dismiss" => read(world, keys::dismiss, params),
            "keys/renew" => read(world, keys::renew, params),
            "keys/revoke" => read(world, keys::revoke, params),
            "keys/passphrase" => read(world, keys::passphrase, params),
            "keys/address" => read(world, keys::address, params),
            "keys/subkey" => read(world, keys::subkey, params),
            "keys/unlock" => read(world, keys::unlock, params),
            "keys/lock" => read(world, keys::lock, params),
            "keys/discover" => read(world, keys::discover, params),
            "keys/publish" => read(world, keys::publish, params),
            "text/decrypt" => read(world, text::decrypt, params),
            "text/verify" => read(world, text::verify, params),
            "text/encrypt" => read(world, text::encrypt, params),
            "text/sign" => read(world, text::sign, params),
            "autocrypt/header" => read(world, autocrypt::header, params),
            "autocrypt/process" => read(world, autocrypt::process, params),
            "autocrypt/peer" => read(
                world,
                |world, request, _| autocrypt::peer(world, request),
                params,
            ),
            "autocrypt/prefer" => read(world, autocrypt::prefer, params),
            "autocrypt/setup" => read(world, setup::setup, params),
            "anchors/list" => read(world, anchors::list, params),
            "anchors/add" => read(world, anchors::add, params),
            "anchors/remove" => read(world, anchors::remove, params),
            "policy/show" => read(world, policy::show, params),
            "backup/write" => read(world, backup::write, params),
            "backup/read" => read(world, backup::read, params),
            "host/doctor" => read(world, doctor::doctor, params),
            _ => Err(Error::internal("a method is listed that is no verb")),
        }
    }

    fn protocols(&self) -> Vec<Protocol> {
        self.world().protocols()
    }

    fn context(&self, now: SystemTime, job: Arc<Job>, answers: Arc<Answers>) -> Context {
        self.world().context(now, job, answers)
    }

    fn unlock(&self, id: &KeyId, passphrase: &Secret, now: SystemTime) -> Result<()> {
        self.world().unlock(id, passphrase, now).map(|_| ())
    }

    fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.world().policy)
    }

    fn expire(&self, now: SystemTime) {
        self.world().expire(now);
    }

    fn wipe(&self) {
        self.world().wipe();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{METHODS, Verbs};
    use crate::base::Kind;
    use crate::store::Home;
    use crate::verbs::World;
    use crate::wire::call::Service;

    #[test]
    fn every_method_is_a_verb_and_every_request_strict() {
        let home = tempfile::tempdir().unwrap();
        let world = World::open(Home::at(home.path()));
        let verbs = Verbs::new(Arc::new(world));
        for method in METHODS {
            let read = verbs.read(method, r#"{"no such":1}"#);
            let error = read.err().expect(method);
            let path = "/no such".to_owned();
            assert_eq!(error.kind, Kind::RequestInvalid { path }, "{method}");
        }
    }
}
