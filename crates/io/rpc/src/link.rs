//! One end of a two-way stream between nodes.

use std::fmt;

use futures::stream::BoxStream;
use futures::{FutureExt as _, Stream, StreamExt as _};
use tokio::sync::mpsc;

/// Messages out and in, in order. Dropping either half closes the stream; a closed stream ends `rx`.
#[derive(Debug)]
pub struct Link<Out, In> {
    /// To the peer. Bounded: a slow peer makes the sender wait.
    pub tx: mpsc::Sender<Out>,
    /// From the peer.
    pub rx: LinkReceiver<In>,
}

impl<Out, In> Link<Out, In> {
    /// Messages that may wait in each direction before the sender waits, too.
    pub const DEPTH: usize = 64;

    /// Two ends that are connected to each other, as the simulator and tests need them.
    #[must_use]
    pub fn pair() -> (Self, Link<In, Out>) {
        let (out_tx, out_rx) = mpsc::channel(Self::DEPTH);
        let (in_tx, in_rx) = mpsc::channel(Self::DEPTH);
        let near = Self {
            tx: out_tx,
            rx: LinkReceiver(Source::Channel(in_rx)),
        };
        let far = Link {
            tx: in_tx,
            rx: LinkReceiver(Source::Channel(out_rx)),
        };
        (near, far)
    }
}

/// What the peer sends.
pub struct LinkReceiver<In>(Source<In>);

enum Source<In> {
    Channel(mpsc::Receiver<In>),
    /// Read by whoever uses the link: a task between them would cost each message another wake.
    Stream(BoxStream<'static, In>),
}

impl<In> LinkReceiver<In> {
    /// From a stream, which is over with its first failure.
    pub(crate) fn of_stream<E: 'static>(stream: impl Stream<Item = Result<In, E>> + Send + 'static) -> Self
    where
        In: Send + 'static,
    {
        let until_failure = tokio_stream::StreamExt::map_while(stream, Result::ok);
        Self(Source::Stream(until_failure.fuse().boxed()))
    }

    /// The next message; `None` once the stream is over. Cancel-safe.
    pub async fn recv(&mut self) -> Option<In> {
        match &mut self.0 {
            Source::Channel(messages) => messages.recv().await,
            Source::Stream(messages) => messages.next().await,
        }
    }

    /// The next message if it is there already.
    pub fn try_recv(&mut self) -> Option<In> {
        match &mut self.0 {
            Source::Channel(messages) => messages.try_recv().ok(),
            Source::Stream(messages) => messages.next().now_or_never().flatten(),
        }
    }
}

impl<In> fmt::Debug for LinkReceiver<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkReceiver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn a_stream_is_over_with_its_first_failure_and_stays_over() {
        let mut messages = LinkReceiver::of_stream(stream::iter([Ok(1), Ok(2), Err(()), Ok(3)]));
        assert_eq!((messages.try_recv(), messages.recv().await), (Some(1), Some(2)));
        assert_eq!((messages.recv().await, messages.try_recv()), (None, None));
    }

    #[tokio::test]
    async fn what_is_not_there_yet_is_not_waited_for_and_comes_later() {
        let (tx, rx) = mpsc::channel(1);
        let mut messages = LinkReceiver::of_stream(tokio_stream::wrappers::ReceiverStream::new(rx).map(Ok::<i32, ()>));
        assert_eq!(messages.try_recv(), None);
        let (sent, received) = tokio::join!(tx.send(1), messages.recv());
        assert_eq!((sent.is_ok(), received), (true, Some(1)));
    }
}
