//! A future that goes on without who began it.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// Runs as part of who awaits it. When that one leaves, a task of its own takes over: a task is made for those
/// alone, and not for each question.
pub(super) struct Lead<F: Future + Send + 'static>(Option<Pin<Box<F>>>)
where
    F::Output: Send;

impl<F: Future + Send + 'static> Lead<F>
where
    F::Output: Send,
{
    /// It has not begun.
    pub fn new(future: F) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<F: Future + Send + 'static> Future for Lead<F>
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

impl<F: Future + Send + 'static> Drop for Lead<F>
where
    F::Output: Send,
{
    fn drop(&mut self) {
        let Some(rest) = self.0.take() else { return };
        // Without a runtime nothing could go on.
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
        let mut lead = Lead::new(async move { tell.send(gone.await.unwrap()).unwrap() });
        tokio::select! {
            biased;
            () = &mut lead => panic!("nothing came yet"),
            () = std::future::ready(()) => {}
        }
        drop(lead);
        go.send(7).unwrap();
        assert_eq!(annotation.await, Ok(7));
        assert_eq!(Lead::new(async { 8 }).await, 8);
    }
}
