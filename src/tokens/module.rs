//! One PKCS#11 module and its thread.
//!
//! A module is somebody else's program in ours: it may be slow, hang, or not be there. So each
//! has a thread of its own, which alone calls it, and whoever asks waits only so long. Nothing
//! is loaded before the first question.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::answer::{Done, Fault};
use super::driver::Driver;

type Task = Box<dyn FnOnce(&mut Driver) + Send>;

/// One module.
pub(super) struct Module {
    path: PathBuf,
    tasks: Mutex<Option<Sender<Task>>>,
    silent: Arc<AtomicBool>,
}

impl Module {
    /// Loads nothing yet.
    pub(super) fn new(path: PathBuf) -> Module {
        Module {
            path,
            tasks: Mutex::default(),
            silent: Arc::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `act` on the module's thread and waits for it, at most for `limit`. One that did not
    /// answer is not waited for again before it has.
    pub(super) fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        act: impl FnOnce(&mut Driver) -> Done<T> + Send + 'static,
    ) -> Done<T> {
        if self.silent.load(Ordering::SeqCst) {
            return Err(Fault::Silent.into());
        }
        let (answer, answered) = channel();
        let silent = Arc::clone(&self.silent);
        self.send(Box::new(move |driver| {
            let _ = answer.send(act(driver));
            silent.store(false, Ordering::SeqCst);
        }))?;
        match answered.recv_timeout(limit) {
            Ok(done) => done,
            Err(RecvTimeoutError::Timeout) => {
                self.silent.store(true, Ordering::SeqCst);
                // It may have come in this very instant, and nobody would say so again.
                answered.try_recv().unwrap_or(Err(Fault::Silent.into()))
            }
            // The thread fell over; the next task starts another.
            Err(RecvTimeoutError::Disconnected) => Err(Fault::Broken.into()),
        }
    }

    /// Has `act` done after all that was asked before, and waits for nothing. A module that was
    /// never used stays so.
    pub(super) fn tell(&self, act: impl FnOnce(&mut Driver) + Send + 'static) {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tasks) = &*tasks {
            let _ = tasks.send(Box::new(act));
        }
    }

    fn send(&self, mut task: Task) -> Done<()> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*tasks {
            match known.send(task) {
                Ok(()) => return Ok(()),
                Err(back) => task = back.0,
            }
        }
        let (sender, todo) = channel::<Task>();
        let mut driver = Driver::new(self.path.clone());
        thread::Builder::new()
            .name("token".to_owned())
            .spawn(move || todo.iter().for_each(|task| task(&mut driver)))
            .map_err(|_| Fault::Broken)?;
        let sent = sender.send(task);
        *tasks = Some(sender);
        sent.map_err(|_| Fault::Broken.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    fn fault_of<T>(done: Done<T>) -> Option<Fault> {
        done.err().map(|failure| failure.fault)
    }

    #[test]
    fn a_module_that_hangs_holds_up_nobody_for_long() {
        let module = Module::new(PathBuf::from("/nowhere/module.so"));
        let (go, wait) = channel::<()>();
        let hung = module.run(SHORT, move |_| {
            let _ = wait.recv();
            Ok(())
        });
        assert_eq!(fault_of(hung), Some(Fault::Silent));
        // Nobody waits a second time, however long they would.
        assert_eq!(fault_of(module.run(LONG, |_| Ok(()))), Some(Fault::Silent));
        go.send(()).unwrap();
        while module.silent.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(fault_of(module.run(LONG, |_| Ok(()))), None);
    }

    #[test]
    fn a_module_that_falls_over_is_started_again() {
        let module = Module::new(PathBuf::from("/nowhere/module.so"));
        let fallen = module.run(LONG, |_| -> Done<()> { panic!("on purpose") });
        assert_eq!(fault_of(fallen), Some(Fault::Broken));
        assert_eq!(fault_of(module.run(LONG, |_| Ok(()))), None);
        assert_eq!(
            fault_of(module.run(LONG, Driver::look)),
            Some(Fault::Broken)
        );
    }

    #[test]
    fn telling_starts_nothing() {
        let module = Module::new(PathBuf::from("/nowhere/module.so"));
        module.tell(|driver| driver.end());
        assert!(module.tasks.lock().unwrap().is_none());
    }
}
