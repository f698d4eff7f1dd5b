//! The threads that answer: each with a runtime, sockets, a packet cache and counters of its own.
//!
//! ```text
//!  Workers::spawn(2, door) ──► queue ──► worker 2's thread: its runtime runs the door's task
//! ```
//!
//! What runs on a worker's thread shares its [`Worker`](super::Worker) without a lock. Whoever spawned a task there
//! waits for it like for one of their own: dropping the wait ends the task.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{mpsc, oneshot};

use super::{Engine, Own};
use crate::observe::PAGE_WAITS;

/// Tasks that may wait for a worker to begin with them.
const QUEUE: usize = 1024;

/// A task as it is made on the worker's thread.
type Task = Box<dyn FnOnce(Own) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// The way to a worker's thread: a task, and what its end is told by.
type Queue = mpsc::Sender<(Task, oneshot::Sender<()>)>;

/// Threads that answer. Clones share them; when all are gone, so are the threads, their tasks with them.
#[derive(Clone, Debug)]
pub struct Workers {
    queues: Arc<[Queue]>,
    next: Arc<AtomicUsize>,
}

impl Workers {
    /// So many threads for an engine, at least one.
    ///
    /// # Errors
    ///
    /// When the system gives no threads or no runtime.
    pub fn start(engine: &Arc<Engine>, count: usize) -> io::Result<Self> {
        let count = count.max(1);
        let queues = (0..count).map(|number| start(engine.clone(), number, count));
        Ok(Self { queues: queues.collect::<io::Result<_>>()?, next: Arc::default() })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.queues.len()
    }

    /// Runs a task on the thread of one worker, and waits for its end. Dropping the wait ends the task.
    pub async fn run<F>(&self, number: usize, task: impl FnOnce(Own) -> F + Send + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        let (done, ended) = oneshot::channel();
        let task: Task = Box::new(move |own| Box::pin(task(own)));
        if self.queues[number % self.queues.len()].send((task, done)).await.is_ok() {
            // An error means that the task is gone, and so does a value.
            let _ = ended.await;
        }
    }

    /// Waits until every worker's thread has come to it.
    pub async fn all_have_a_turn(&self) {
        for number in 0..self.count() {
            self.run(number, |_| async {}).await;
        }
    }

    /// The same on one worker after the other.
    pub async fn run_on_next<F>(&self, task: impl FnOnce(Own) -> F + Send + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        self.run(self.next.fetch_add(1, Ordering::Relaxed), task).await;
    }
}

/// Starts the thread of one worker and gives the way to it.
fn start(engine: Arc<Engine>, number: usize, count: usize) -> io::Result<Queue> {
    let (sender, queue) = mpsc::channel(QUEUE);
    let (began, beginning) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name(format!("worker-{number}"));
    thread.spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) => {
                // Nobody waits for it when the start was given up.
                let _ = began.send(Ok(()));
                work(&runtime, &engine, number, count, queue);
            }
            Err(error) => drop(began.send(Err(error))),
        }
    })?;
    beginning.recv().unwrap_or_else(|_| Err(io::Error::other("the thread ended at once")))?;
    Ok(sender)
}

/// The life of a worker: it begins with the tasks that it is given, until there will be no more.
fn work(
    runtime: &LocalRuntime,
    engine: &Arc<Engine>,
    number: usize,
    count: usize,
    mut queue: mpsc::Receiver<(Task, oneshot::Sender<()>)>,
) {
    let own: Own = Rc::new(RefCell::new(engine.worker(count)));
    runtime.block_on(async {
        if own.borrow().witness.wants_times() {
            tokio::task::spawn_local(turn_pages(engine.clone(), own.clone(), number));
        }
        while let Some((task, mut done)) = queue.recv().await {
            let task = task(own.clone());
            tokio::task::spawn_local(async move {
                tokio::select! {
                    () = task => {}
                    () = done.closed() => {}
                }
            });
        }
    });
}

/// Hands over records of the query log that wait for a full page. The first worker does so for those, too, who
/// have no thread of their own.
async fn turn_pages(engine: Arc<Engine>, own: Own, number: usize) {
    let mut tick = tokio::time::interval(PAGE_WAITS);
    loop {
        tick.tick().await;
        own.borrow_mut().witness.turn_page();
        if number == 0 {
            engine.common().witness.turn_page();
        }
    }
}
