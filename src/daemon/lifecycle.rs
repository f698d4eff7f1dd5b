//! From startup to shutdown: signals, lame-duck mode, draining.
//!
//! ```text
//!  listeners open ─► READY ─► answering ─► SIGTERM ─► lame duck ─► drain ─► closed
//!                                 │        STOPPING   /ready: no   queries in flight, bounded
//!                                 └─ SIGHUP, watch, /v1/reload: RELOADING … READY
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};

use super::reload::Cause;
use super::{Daemon, StartError, systemd, watch as file_watch};
use crate::serve::Engine;
use crate::serve::workers::Workers;

/// How long listeners may take to finish queries in flight after they have been stopped.
const DRAIN: Duration = Duration::from_secs(5);

/// How the daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// Queries in flight were completed, or timed out.
    Drained,
    /// A second signal: queries in flight are lost.
    Immediate,
}

impl Daemon {
    /// Serves until SIGTERM or SIGINT; reloads on SIGHUP; logs a summary on SIGUSR1.
    ///
    /// # Errors
    ///
    /// If signal handlers cannot be installed.
    pub async fn run_until_signalled(self) -> Result<ExitReason, StartError> {
        let listen =
            |kind| signal(kind).map_err(|source| StartError::System { doing: "listen for signals", source });
        let mut hang_up = listen(SignalKind::hangup())?;
        let mut user1 = listen(SignalKind::user_defined1())?;
        let mut end = StopSignals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        };
        let (stop, stopped) = watch::channel(false);
        let (opened, open) = oneshot::channel();
        let (engine, reloads, ready) = (self.engine.clone(), self.reloads.clone(), self.admin.ready.clone());
        let lame_duck = self.lame_duck;
        let watched = self.watches.then(|| self.reloader.files());
        let mut running = tokio::spawn(self.answer(stopped, opened));
        let _ = open.await;
        systemd::ready(&format!("Serving configuration {}.", engine.live().load().hash));
        if let Some(files) = watched {
            tokio::spawn(file_watch::run(files, reloads.clone()));
        }
        loop {
            tokio::select! {
                () = end.recv() => break,
                _ = hang_up.recv() => {
                    let (reloads, engine) = (reloads.clone(), engine.clone());
                    // A separate task, so that a long reload does not delay shutdown.
                    tokio::spawn(async move {
                        reloads.reload(Cause::Requested).await;
                        engine.observer().reopen_query_log();
                    });
                }
                _ = user1.recv() => summarise(&engine),
            }
        }
        ready.store(false, Ordering::Release);
        systemd::stopping("Stopping.");
        if !lame_duck.is_zero() {
            tracing::info!("No longer ready; serving for another {} s.", lame_duck.as_secs());
            tokio::select! {
                () = end.recv() => return Ok(exit_immediately()),
                () = tokio::time::sleep(lame_duck) => {}
            }
        }
        tracing::info!("Stopping.");
        let _ = stop.send(true);
        tokio::select! {
            () = end.recv() => return Ok(exit_immediately()),
            _ = &mut running => {}
        }
        tracing::info!("Stopped.");
        Ok(ExitReason::Drained)
    }

    /// Serves until `stopped` is true, then completes queries in flight within a time limit.
    pub async fn run(self, stopped: watch::Receiver<bool>) {
        let (opened, _) = oneshot::channel();
        self.answer(stopped, opened).await;
    }

    /// Like [`run`](Self::run), but also signals when the listeners are open.
    async fn answer(self, stopped: watch::Receiver<bool>, opened: oneshot::Sender<()>) {
        let ready = self.admin.ready.clone();
        let open = Arc::new(AtomicUsize::new(0));
        let mut listeners = self.listeners.run(&self.engine, &open, || stop_signal(stopped.clone()));
        let reloader = tokio::spawn(self.reloader.run());
        let (close_admin, admin_closed) = watch::channel(false);
        // The sockets of the listeners are bound, so the first request to the admin listener finds it ready.
        ready.store(true, Ordering::Release);
        let admin = tokio::spawn(self.admin.serve(self.admin_listener, stop_signal(admin_closed)));
        let watchdog = systemd::watchdog_interval().map(|interval| {
            let (engine, workers) = (self.engine.clone(), self.workers.clone());
            tokio::spawn(feed_watchdog(interval, engine, workers, open, stopped.clone()))
        });
        let _ = opened.send(());
        stop_signal(stopped).await;
        ready.store(false, Ordering::Release);
        let drained = async { while listeners.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!(
                "Some queries were still in flight after {} s and receive no reply.",
                DRAIN.as_secs()
            );
        }
        let _ = close_admin.send(true);
        let _ = tokio::time::timeout(DRAIN, admin).await;
        reloader.abort();
        if let Some(watchdog) = watchdog {
            watchdog.abort();
        }
        write_last_records(&self.engine, &self.workers).await;
    }
}

/// Writes the query log records that the workers still hold: the process does not wait for their threads.
async fn write_last_records(engine: &Arc<Engine>, workers: &Workers) {
    let handed_over = async {
        for number in 0..workers.count() {
            workers.run(number, |own| async move { own.borrow_mut().recorder.flush_page() }).await;
        }
    };
    // The records of a hung worker are lost.
    let _ = tokio::time::timeout(DRAIN, handed_over).await;
    engine.shared_worker().recorder.flush_page();
    engine.observer().flush_query_log(DRAIN);
}

/// The two signals that stop the daemon.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn exit_immediately() -> ExitReason {
    tracing::warn!("Received a second signal; exiting immediately.");
    ExitReason::Immediate
}

/// Notifies the service manager's watchdog, as long as every listener is open, every worker's thread makes
/// progress and a built-in question is answered. During shutdown, the listeners need not be open.
async fn feed_watchdog(
    interval: Duration,
    engine: Arc<Engine>,
    workers: Workers,
    open: Arc<AtomicUsize>,
    stopped: watch::Receiver<bool>,
) {
    let all = open.load(Ordering::Acquire);
    let mut ticks = tokio::time::interval(interval);
    loop {
        ticks.tick().await;
        let all_open = *stopped.borrow() || open.load(Ordering::Acquire) == all;
        let all_responsive = tokio::time::timeout(interval, workers.ping_all()).await.is_ok();
        if all_open && all_responsive && engine.is_alive() {
            systemd::feed_watchdog();
        } else {
            tracing::error!(
                "A listener has closed, a worker hangs or the engine does not answer; not notifying the watchdog."
            );
        }
    }
}

/// Waits for a stop signal; a dropped sender counts as one.
async fn stop_signal(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

fn summarise(engine: &Engine) {
    let world = engine.live().load();
    tracing::info!(
        hash = %world.hash,
        vpcs = world.network.vpcs.len(),
        subnets = world.network.subnets.len(),
        endpoints = world.network.endpoints.len(),
        routes = world.network.route_tables.iter().map(|table| table.iter().count()).sum::<usize>(),
        hosted_zones = world.names.hosted_zones.len(),
        rules = world.names.rules.len(),
        sites = world.network.sites.len(),
        places = world.network.places.len(),
        claims = world.names.claims.name_count(),
        "Summary of the current configuration."
    );
}
