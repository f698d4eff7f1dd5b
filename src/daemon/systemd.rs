//! Notifications to the service manager (sd_notify(3)). Without `NOTIFY_SOCKET`, nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;

/// Listeners are open, or a reload has ended.
pub(super) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload begins. The timestamp identifies the reload: systemd waits for one that is not earlier than its
/// own request.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "Cannot notify the service manager of a reload."),
    }
}

/// Shutdown has begun.
pub(super) fn stopping(status: &str) {
    notify(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Interval for notifying the watchdog: half of its timeout. `None` if it is disabled.
pub(super) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|timeout| timeout / 2).filter(|interval| !interval.is_zero())
}

/// Notifies the watchdog.
pub(super) fn feed_watchdog() {
    notify(&[NotifyState::Watchdog]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "Cannot notify the service manager.");
    }
}
