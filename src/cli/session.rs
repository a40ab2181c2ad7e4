//! One run of a verb for a person at a terminal: the same loop as the host's, with one
//! request, no worker and no frame.

use std::sync::Arc;
use std::time::SystemTime;

use super::ask;
use crate::base::ask::{ATTEMPTS, Answer, Answers, Need, Question};
use crate::base::job::Job;
use crate::base::{Context, Error, KeyId, Kind, Result};
use crate::store::Home;
use crate::verbs::doctor::Pinentry;
use crate::verbs::{Ask, World};

/// The store and the keys, and whether questions are welcome.
pub struct Session {
    world: World,
    ask: Ask,
}

impl Session {
    /// A session in the folder of state that `SEALPOST_HOME` names.
    ///
    /// # Errors
    /// `store.unavailable` when there is no such place, `policy.refused` for a bad policy.
    pub fn open(ask: Ask) -> Result<Session> {
        let session = Session::examine(Pinentry::Off, ask)?;
        session.world.ready()?;
        Ok(session)
    }

    /// A session for looking at the rules themselves, whatever they say.
    ///
    /// # Errors
    /// `store.unavailable` when there is no such place.
    pub fn examine(pinentry: Pinentry, ask: Ask) -> Result<Session> {
        let world = super::world(Home::from_env()?).asking_by(pinentry);
        Ok(Session { world, ask })
    }

    /// Whether questions are welcome, as a request says it.
    pub fn ask(&self) -> Ask {
        self.ask
    }

    /// Runs a verb, and again with each answer that it asks for.
    ///
    /// # Errors
    /// As the verb, and as its questions.
    pub fn run<T>(&self, verb: impl Fn(&World, &Context) -> Result<T>) -> Result<T> {
        let job = Arc::new(Job::default());
        let answers = Arc::new(Answers::default());
        loop {
            let now = SystemTime::now();
            let context = self
                .world
                .context(now, Arc::clone(&job), Arc::clone(&answers));
            let error = match verb(&self.world, &context) {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let Some(question) = &error.question else {
                return Err(error);
            };
            if self.ask == Ask::Never {
                return Err(error);
            }
            match question.as_ref() {
                Question::Passphrase {
                    need: Need::Unlock,
                    key: Some(id),
                    label,
                    ..
                } => {
                    self.unlock(id, label)?;
                    answers.give(question.as_ref().clone(), Answer::Confirmed);
                }
                question => answers.give(question.clone(), ask::answer(question)?),
            }
        }
    }

    /// Asks for a key's passphrase until it opens.
    fn unlock(&self, id: &KeyId, label: &str) -> Result<()> {
        let mut label = label.to_owned();
        for attempt in 1..=ATTEMPTS {
            let question = Question::Passphrase {
                need: Need::Unlock,
                key: Some(id.clone()),
                label: label.clone(),
                attempt,
            };
            let Answer::Passphrase(passphrase) = ask::answer(&question)? else {
                return Err(Error::internal("a passphrase was expected"));
            };
            match self.world.unlock(id, &passphrase, SystemTime::now()) {
                Err(Error {
                    kind: Kind::PassphraseWrong,
                    question,
                    ..
                }) if attempt < ATTEMPTS => {
                    // A token warns before the last try.
                    if let Some(Question::Passphrase { label: next, .. }) =
                        question.map(|next| *next)
                    {
                        label = next;
                    }
                }
                unlocked => return unlocked.map(|_| ()),
            }
        }
        Err(Error::new(Kind::PassphraseWrong, "the passphrase is wrong"))
    }
}
