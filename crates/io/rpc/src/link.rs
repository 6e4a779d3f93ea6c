//! One end of a two-way stream between nodes.

use tokio::sync::mpsc;

/// Messages out and in, in order. Dropping either half closes the stream; a closed stream ends `rx`.
#[derive(Debug)]
pub struct Link<Out, In> {
    /// To the peer. Bounded: a slow peer makes the sender wait.
    pub tx: mpsc::Sender<Out>,
    /// From the peer; `None` once the stream is over.
    pub rx: mpsc::Receiver<In>,
}

impl<Out, In> Link<Out, In> {
    /// Messages that may wait in each direction before the sender waits, too.
    pub const DEPTH: usize = 64;

    /// Two ends that are connected to each other, as the simulator and tests need them.
    #[must_use]
    pub fn pair() -> (Self, Link<In, Out>) {
        let (out_tx, out_rx) = mpsc::channel(Self::DEPTH);
        let (in_tx, in_rx) = mpsc::channel(Self::DEPTH);
        (Self { tx: out_tx, rx: in_rx }, Link { tx: in_tx, rx: out_rx })
    }
}
