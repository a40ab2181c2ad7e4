//! One PKCS#11 module and its thread.
//!
//! A module is somebody else's program in ours: it may be slow, hang, or not be there. So each
//! has a thread of its own, which alone calls it, and whoever asks waits only so long. Nothing
//! is loaded before the first question. The thread has left its module before a [`Module`] is
//! gone: a module that works while the program ends falls over what it tidies away itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::answer::{Done, Fault};
use super::driver::Driver;

type Task = Box<dyn FnOnce(&mut Driver) + Send>;

/// How long a module may take to log out or to be left: it does nothing with a key there.
const LEAVE: Duration = Duration::from_secs(5);

/// One module.
pub(super) struct Module {
    path: PathBuf,
    thread: Mutex<Option<Running>>,
    silent: Arc<AtomicBool>,
}

/// The thread of a module.
struct Running {
    tasks: Sender<Task>,
    handle: JoinHandle<()>,
}

impl Module {
    /// Loads nothing yet.
    pub(super) fn new(path: PathBuf) -> Module {
        Module {
            path,
            thread: Mutex::default(),
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
        self.send(Box::new(move |driver| {
            let _ = answer.send(act(driver));
        }))?;
        match answered.recv_timeout(limit) {
            Ok(done) => done,
            Err(RecvTimeoutError::Timeout) => {
                self.silent.store(true, Ordering::SeqCst);
                // It may have come in this very instant, and nobody would say so again.
                let late = match answered.try_recv() {
                    Ok(done) => done,
                    Err(TryRecvError::Empty) => return Err(Fault::Silent.into()),
                    Err(TryRecvError::Disconnected) => Err(Fault::Broken.into()),
                };
                self.silent.store(false, Ordering::SeqCst);
                late
            }
            // It fell over.
            Err(RecvTimeoutError::Disconnected) => Err(Fault::Broken.into()),
        }
    }

    /// Has `act` done after all that was asked before, and waits a little for it, unless the
    /// module is not waited for now. A module that was never used stays so.
    pub(super) fn tell(&self, act: impl FnOnce(&mut Driver) + Send + 'static) {
        let (answer, answered) = channel::<()>();
        let task = move |driver: &mut Driver| {
            act(driver);
            drop(answer);
        };
        match &*self.lock() {
            Some(running) => drop(running.tasks.send(Box::new(task))),
            None => return,
        }
        if self.silent.load(Ordering::SeqCst) {
            return;
        }
        if answered.recv_timeout(LEAVE) == Err(RecvTimeoutError::Timeout) {
            self.silent.store(true, Ordering::SeqCst);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, task: Task) -> Done<()> {
        let mut thread = self.lock();
        let running = match &*thread {
            Some(known) => known,
            None => thread.insert(self.start()?),
        };
        let sent = running.tasks.send(task);
        sent.map_err(|_| Fault::Broken.into())
    }

    fn start(&self) -> Done<Running> {
        let (tasks, todo) = channel::<Task>();
        let mut driver = Driver::new(self.path.clone());
        let silent = Arc::clone(&self.silent);
        let handle = thread::Builder::new()
            .name("token".to_owned())
            .spawn(move || {
                for task in todo {
                    if catch_unwind(AssertUnwindSafe(|| task(&mut driver))).is_err() {
                        log::error!("a module for tokens fell over");
                        driver.end();
                    }
                    silent.store(false, Ordering::SeqCst);
                }
            })
            .map_err(|_| Fault::Broken)?;
        Ok(Running { tasks, handle })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        self.tell(Driver::end);
        if self.silent.load(Ordering::SeqCst) {
            return;
        }
        if let Some(Running { tasks, handle }) = self.lock().take() {
            drop(tasks);
            let _ = handle.join();
        }
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
        assert!(module.thread.lock().unwrap().is_none());
    }
}
