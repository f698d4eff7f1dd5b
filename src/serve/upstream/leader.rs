//! A future that continues to run after its caller has been dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// Runs as part of the awaiting task. If that task is dropped, a new task continues it. A task is therefore
/// created only in that case, not for each question.
pub(super) struct Leader<F: Future + Send + 'static>(Option<Pin<Box<F>>>)
where
    F::Output: Send;

impl<F: Future + Send + 'static> Leader<F>
where
    F::Output: Send,
{
    /// Creates a leader that has not started.
    pub(super) fn new(future: F) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<F: Future + Send + 'static> Future for Leader<F>
where
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.0.as_mut().expect("polled after completion");
        let poll = future.as_mut().poll(context);
        if poll.is_ready() {
            self.0 = None;
        }
        poll
    }
}

impl<F: Future + Send + 'static> Drop for Leader<F>
where
    F::Output: Send,
{
    fn drop(&mut self) {
        let Some(future) = self.0.take() else { return };
        // Without a runtime, the future cannot continue.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(future);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn a_leader_completes_whether_or_not_it_is_dropped() {
        let (start, started) = oneshot::channel::<u8>();
        let (send, outcome) = oneshot::channel();
        let mut leader = Leader::new(async move { send.send(started.await.unwrap()).unwrap() });
        tokio::select! {
            biased;
            () = &mut leader => panic!("no answer yet"),
            () = std::future::ready(()) => {}
        }
        drop(leader);
        start.send(7).unwrap();
        assert_eq!(outcome.await, Ok(7));
        assert_eq!(Leader::new(async { 8 }).await, 8);
    }
}
