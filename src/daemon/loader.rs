//! The thread that worlds are made on: at the start and at each reload, one after the other.
//!
//! An allocator gives each thread a region of its own. What one world leaves behind there the next one takes, so
//! that a daemon holds two worlds' memory after a reload, and no more after a hundred. Were each world made on
//! another thread, every region would keep what it once had.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use tokio::sync::oneshot;

/// Something to do.
type LoadJob = Box<dyn FnOnce() + Send>;

/// The way to the thread, which ends when nobody can ask it any more.
#[derive(Clone, Debug)]
pub struct Loader {
    /// What it is to do.
    queue: mpsc::Sender<LoadJob>,
}

impl Loader {
    /// Starts the thread.
    pub fn start() -> Self {
        let (queue, works) = mpsc::channel::<LoadJob>();
        std::thread::spawn(move || {
            for work in works {
                // Who asked hears nothing and so knows of the panic, which has told itself.
                let _ = catch_unwind(AssertUnwindSafe(work));
            }
        });
        Self { queue }
    }

    /// Does something there. Nothing is received when it panics.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
        let (done, told) = oneshot::channel();
        // Who asked may have gone meanwhile.
        let work = move || drop(done.send(work()));
        self.queue.send(Box::new(work)).expect("the thread lives as long as somebody can ask it");
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_outlives_a_panic() {
        let loader = Loader::start();
        let panicked = loader.run(|| -> u8 { panic!("this test panics on purpose") });
        assert!(panicked.blocking_recv().is_err());
        assert_eq!(loader.run(|| 7).blocking_recv(), Ok(7));
    }
}
