//! The thread on which worlds are created: at startup and for each reload, one after the other.
//!
//! An allocator assigns an arena to each thread. Memory freed by one world in that arena is reused by the
//! next one, so a daemon holds the memory of two worlds after one reload and after a hundred.
//! With a different thread for each world, every arena would keep its memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use tokio::sync::oneshot;

/// A job of the loader thread.
type LoadJob = Box<dyn FnOnce() + Send>;

/// Handle to the thread, which ends when all handles are dropped.
#[derive(Clone, Debug)]
pub struct Loader {
    /// The queue of jobs.
    queue: mpsc::Sender<LoadJob>,
}

impl Loader {
    /// Starts the thread.
    pub fn start() -> Self {
        let (queue, jobs) = mpsc::channel::<LoadJob>();
        std::thread::spawn(move || {
            for job in jobs {
                // The panic hook has reported it, and the caller detects the dropped sender.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
        });
        Self { queue }
    }

    /// Runs a function on the thread. The receiver returns an error if it panics.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
        let (done, result) = oneshot::channel();
        // The receiver may have been dropped.
        let work = move || drop(done.send(work()));
        self.queue.send(Box::new(work)).expect("the thread lives as long as its handle");
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_survives_a_panic() {
        let loader = Loader::start();
        let panicked = loader.run(|| -> u8 { panic!("this test panics on purpose") });
        assert!(panicked.blocking_recv().is_err());
        assert_eq!(loader.run(|| 7).blocking_recv(), Ok(7));
    }
}
