//! Work that is done to its end, whoever waits for it.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

/// Does work to its end even if the caller hangs up: half a send would be charged and not made, or made and
/// not be remembered under its key. As long as somebody waits it costs no task of its own.
pub fn whole<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Whole<T> {
    Whole { work: Some(Box::pin(work)), begun: false }
}

/// See [`whole`].
pub struct Whole<T: Send + 'static> {
    work: Option<BoxFuture<'static, T>>,
    begun: bool,
}

impl<T: Send + 'static> Future for Whole<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.begun = true;
        // Taken out meanwhile: work that panics is not to be gone on with.
        let Some(mut work) = self.work.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Whole<T> {
    fn drop(&mut self) {
        let work = self.work.take().filter(|_| self.begun);
        // Without a runtime the process is ending, and a task would be dropped, too.
        if let (Some(work), Ok(runtime)) = (work, Handle::try_current()) {
            runtime.spawn(async move { drop(work.await) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_was_begun_is_ended_without_those_who_asked_for_it() {
        let (go_on, told) = oneshot::channel::<()>();
        let (ended, end) = oneshot::channel();
        let mut work = Box::pin(whole(async move {
            let _ = told.await;
            let _ = ended.send(());
        }));
        assert!(futures_util::poll!(work.as_mut()).is_pending());
        drop(work);
        go_on.send(()).unwrap();
        end.await.expect("it went on");
    }

    #[tokio::test]
    async fn what_was_not_begun_is_left_alone_and_what_is_done_answers() {
        let ran = Arc::new(AtomicBool::new(false));
        let seen = ran.clone();
        drop(whole(async move { seen.store(true, Ordering::SeqCst) }));
        assert_eq!(whole(async { 7 }).await, 7);
        tokio::task::yield_now().await;
        assert!(!ran.load(Ordering::SeqCst));
    }
}
