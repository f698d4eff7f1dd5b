//! The threads that answer queries, each with its own runtime, sockets, packet cache and counters.
//!
//! ```text
//!  Workers::run(2, task) ──► queue ──► thread of worker 2: its runtime runs the task
//! ```
//!
//! Tasks on a worker's thread share its [`Worker`](super::Worker) without locks. The caller awaits the task:
//! dropping the future ends it.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{mpsc, oneshot};

use super::{Engine, LocalWorker};
use crate::observe::FLUSH_INTERVAL;

/// Maximum number of tasks that wait to be started by a worker.
const TASK_QUEUE: usize = 1024;

/// A task as a closure that is called on the worker's thread.
type Task = Box<dyn FnOnce(LocalWorker) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Sender of a worker's task queue: each task with the channel that signals its end.
type TaskQueue = mpsc::Sender<(Task, oneshot::Sender<()>)>;

/// Threads that answer queries. Clones share them; dropping the last clone ends the threads and their tasks.
#[derive(Clone, Debug)]
pub struct Workers {
    queues: Arc<[TaskQueue]>,
    next: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts `count` threads for an engine, at least one.
    ///
    /// # Errors
    ///
    /// If the system cannot create a thread or a runtime.
    pub fn start(engine: &Arc<Engine>, count: usize) -> io::Result<Self> {
        let count = count.max(1);
        let queues = (0..count).map(|number| start(engine.clone(), number, count));
        Ok(Self { queues: queues.collect::<io::Result<_>>()?, next: Arc::default() })
    }

    /// The number of workers.
    pub fn count(&self) -> usize {
        self.queues.len()
    }

    /// Runs a task on the thread of one worker and waits for its end. Dropping the future ends the task.
    pub async fn run<F>(&self, number: usize, task: impl FnOnce(LocalWorker) -> F + Send + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        let (done, end) = oneshot::channel();
        let task: Task = Box::new(move |worker| Box::pin(task(worker)));
        if self.queues[number % self.queues.len()].send((task, done)).await.is_ok() {
            // Both an error and a value mean that the task has ended.
            let _ = end.await;
        }
    }

    /// Waits until every worker's thread has processed an empty task.
    pub async fn ping_all(&self) {
        for number in 0..self.count() {
            self.run(number, |_| async {}).await;
        }
    }

    /// Like [`run`](Self::run), on the workers in rotation.
    pub async fn run_on_next<F>(&self, task: impl FnOnce(LocalWorker) -> F + Send + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        self.run(self.next.fetch_add(1, Ordering::Relaxed), task).await;
    }
}

/// Starts the thread of one worker and returns its queue.
fn start(engine: Arc<Engine>, number: usize, count: usize) -> io::Result<TaskQueue> {
    let (sender, queue) = mpsc::channel(TASK_QUEUE);
    let (started, start) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name(format!("worker-{number}"));
    thread.spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) => {
                // Sending fails only if the caller no longer waits.
                let _ = started.send(Ok(()));
                work(&runtime, &engine, number, count, queue);
            }
            Err(error) => drop(started.send(Err(error))),
        }
    })?;
    start.recv().unwrap_or_else(|_| Err(io::Error::other("the worker thread ended during startup")))?;
    Ok(sender)
}

/// Main loop of a worker: starts the tasks from its queue until the queue is closed.
fn work(
    runtime: &LocalRuntime,
    engine: &Arc<Engine>,
    number: usize,
    count: usize,
    mut queue: mpsc::Receiver<(Task, oneshot::Sender<()>)>,
) {
    let worker: LocalWorker = Rc::new(RefCell::new(engine.worker(count)));
    runtime.block_on(async {
        if worker.borrow().recorder.needs_durations() {
            tokio::task::spawn_local(flush_query_log(engine.clone(), worker.clone(), number));
        }
        while let Some((task, mut done)) = queue.recv().await {
            let task = task(worker.clone());
            tokio::task::spawn_local(async move {
                tokio::select! {
                    () = task => {}
                    () = done.closed() => {}
                }
            });
        }
    });
}

/// Periodically submits query log records that have not filled a page. The first worker also does this for
/// the shared worker.
async fn flush_query_log(engine: Arc<Engine>, worker: LocalWorker, number: usize) {
    let mut tick = tokio::time::interval(FLUSH_INTERVAL);
    loop {
        tick.tick().await;
        worker.borrow_mut().recorder.flush_page();
        if number == 0 {
            engine.shared_worker().recorder.flush_page();
        }
    }
}
