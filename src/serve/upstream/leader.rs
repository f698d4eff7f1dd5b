//! A future that continues if its caller is dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// Runs as part of the awaiting task. If that is dropped, a new task takes over, so that a task is created
/// only in that case and not for each question.
pub(super) struct Leader<F: Future + Send + 'static>(Option<Pin<Box<F>>>)
where
    F::Output: Send;

impl<F: Future + Send + 'static> Leader<F>
where
    F::Output: Send,
{
    /// Creates a leader that has not started.
    pub fn new(future: F) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<F: Future + Send + 'static> Future for Leader<F>
where
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.0.as_mut().expect("nobody polls what has ended");
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
        let Some(rest) = self.0.take() else { return };
        // Without a runtime, the future cannot continue.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn it_ends_with_who_awaits_it_or_without() {
        let (go, gone) = oneshot::channel::<u8>();
        let (tell, annotation) = oneshot::channel();
        let mut lead = Leader::new(async move { tell.send(gone.await.unwrap()).unwrap() });
        tokio::select! {
            biased;
            () = &mut lead => panic!("no answer yet"),
            () = std::future::ready(()) => {}
        }
        drop(lead);
        go.send(7).unwrap();
        assert_eq!(annotation.await, Ok(7));
        assert_eq!(Leader::new(async { 8 }).await, 8);
    }
}
