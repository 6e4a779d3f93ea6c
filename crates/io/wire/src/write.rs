//! Frames onto a connection.
//!
//! One vectored write hands the kernel a frame's slices where they lie, so that a Fetch response's records are not
//! gathered first (WIRE-3). A socket may take any part of them; what it took is dropped from the front.

use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::response::ResponseFrame;

/// The most slices handed over in one call; the kernel takes 1024, and a stack array has to hold them.
const SLICES_MAX: usize = 64;

/// Writes a frame whole, with vectored writes, and flushes.
///
/// Not cancel-safe: a frame that was cut makes the connection useless.
///
/// # Errors
/// The sink's; `WriteZero` when it takes no more bytes.
pub async fn write_frame<W: AsyncWrite + Unpin>(sink: &mut W, frame: ResponseFrame) -> io::Result<()> {
    let mut chunks = frame.chunks;
    let mut pending: &mut [Bytes] = &mut chunks;
    loop {
        // Drop what is written, so that a slice list never starts with an empty slice and a zero means a dead sink.
        while pending.first().is_some_and(Bytes::is_empty) {
            pending = pending.get_mut(1..).unwrap_or_default();
        }
        if pending.is_empty() {
            return sink.flush().await;
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(pending.iter()) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        let mut written = sink.write_vectored(slices.get(..count).unwrap_or_default()).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        for chunk in pending.iter_mut() {
            let taken = written.min(chunk.len());
            chunk.advance(taken);
            written -= taken;
            if written == 0 {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::*;

    /// Takes at most so many bytes a call, across slices.
    struct Narrow {
        width: usize,
        taken: Vec<u8>,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(buf)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = bufs
                .iter()
                .flat_map(|buf| buf.iter().copied())
                .take(self.width)
                .collect();
            self.taken.extend_from_slice(&all);
            Poll::Ready(Ok(all.len()))
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn frame_of(count: usize) -> ResponseFrame {
        ResponseFrame {
            chunks: (0..count).map(|n| Bytes::from(vec![n as u8; n % 7])).collect(),
        }
    }

    #[tokio::test]
    async fn a_frame_of_many_slices_survives_partial_writes_of_any_width() {
        for width in [1, 2, 3, 7, 64, 4096] {
            let mut sink = Narrow {
                width,
                taken: Vec::new(),
            };
            write_frame(&mut sink, frame_of(150)).await.unwrap();
            assert_eq!(sink.taken, frame_of(150).to_bytes(), "width {width}");
        }
    }

    #[tokio::test]
    async fn a_sink_that_takes_nothing_is_an_error_and_not_a_loop() {
        let mut sink = Narrow {
            width: 0,
            taken: Vec::new(),
        };
        let error = write_frame(&mut sink, frame_of(3)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
        write_frame(&mut sink, ResponseFrame::default()).await.unwrap();
    }
}
