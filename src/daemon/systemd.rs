//! What the service manager is told (sd_notify(3)). Without `NOTIFY_SOCKET` nothing is told to anybody.

use std::time::Duration;

use sd_notify::NotifyState;

/// The doors are open, or a reload is over.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload begins. The time says which signal it answers: systemd waits for one later than its own.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "Cannot tell the service manager of a reload."),
    }
}

/// The end has begun.
pub fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// How often the watchdog is to be fed: twice as often as it looks. `None`: there is none.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 2).filter(|interval| !interval.is_zero())
}

/// It lives.
pub fn feed_watchdog() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "Cannot tell the service manager.");
    }
}
