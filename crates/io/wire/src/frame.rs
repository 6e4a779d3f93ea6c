//! Frames off a connection: an int32 size and so many bytes.
//!
//! Memory grows with what has arrived, never with what the size says (WIRE-1): a connection that announces 100 MB and
//! sends nothing costs one small buffer, and room that is made ahead stays untouched until bytes arrive for it. Several frames
//! that arrive together are cut from one read without copies. A large frame ends with its buffer, whose one owner may use it on.
//!
//! What is no Kafka at all is told apart, because it is the commonest mistake of an operator: a browser, a health check
//! or a client with TLS on a plaintext port would otherwise read as a frame of a gigabyte.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Kafka's default of `socket.request.max.bytes`: 100 MiB.
pub const SOCKET_REQUEST_MAX_BYTES_DEFAULT: usize = 100 * 1024 * 1024;

/// The size prefix.
const SIZE_BYTES: usize = 4;
/// What a read makes room for while little is known to come: holds most requests whole.
const READ_BYTES: usize = 8 * 1024;
/// How many times what has arrived of a frame its buffer grows at most in a step: a producer's usual batch gets its whole room
/// once half a read has come.
const GROWTH: usize = 256;
/// The largest step by which a buffer grows while a large frame arrives.
const GROWTH_BYTES_MAX: usize = 1024 * 1024;

/// Why no frame can be read. All but a clean end of the stream, which is no error.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The size is 0 or negative.
    #[error("frame size {size} is not positive")]
    NotPositive {
        /// As read.
        size: i32,
    },
    /// The size is beyond `socket.request.max.bytes`.
    #[error("a frame of {size} bytes exceeds the limit of {max_bytes} (socket.request.max.bytes on a broker)")]
    TooLarge {
        /// As read.
        size: i32,
        /// The bound.
        max_bytes: usize,
    },
    /// The connection's first bytes belong to another protocol.
    #[error("{0}")]
    NotKafka(NotKafka),
    /// The stream ended inside a frame.
    #[error("connection closed after {received_bytes} bytes of a frame")]
    Cut {
        /// What had arrived of it, size prefix included.
        received_bytes: usize,
    },
    /// The socket's error.
    #[error("read failed: {0}")]
    Io(#[from] std::io::Error),
}

/// What speaks to a Kafka port without speaking Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotKafka {
    /// The HTTP/2 preface: gRPC, for instance a broker's RPC client.
    #[error("the peer speaks HTTP/2 (gRPC) to a Kafka listener; check the port")]
    Http2,
    /// An HTTP/1 request.
    #[error("the peer speaks HTTP to a Kafka listener; check the port, or the health check that points here")]
    Http1,
    /// A TLS handshake or alert.
    #[error("the peer starts TLS on a PLAINTEXT listener; set security.protocol=PLAINTEXT there or use a TLS port")]
    Tls,
}

impl NotKafka {
    /// Recognises a protocol by a connection's first four bytes, of a client or of a server. No honest first frame has
    /// such a size: the least of them, 0x15030000, is 352 MB.
    fn of(start: [u8; SIZE_BYTES]) -> Option<Self> {
        match &start {
            b"PRI " => Some(Self::Http2),
            b"GET " | b"POST" | b"HEAD" | b"PUT " | b"DELE" | b"OPTI" | b"PATC" | b"CONN" | b"TRAC" | b"HTTP" => {
                Some(Self::Http1)
            }
            [0x15 | 0x16, 0x03, 0x00..=0x04, _] => Some(Self::Tls),
            _ => None,
        }
    }
}

/// Cuts frames from one connection's bytes.
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    max_bytes: usize,
    started: bool,
}

impl FrameReader {
    /// A reader that refuses frames over `max_bytes` (`socket.request.max.bytes`).
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            max_bytes,
            started: false,
        }
    }

    /// A frame that has arrived already, without reading.
    ///
    /// # Errors
    /// As [`FrameReader::next`]; after an error the connection is of no more use.
    pub fn buffered(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(size) = self.size()? else {
            return Ok(None);
        };
        if self.buffer.len() < SIZE_BYTES + size {
            return Ok(None);
        }
        self.buffer.advance(SIZE_BYTES);
        if size > READ_BYTES && self.buffer.len() == size {
            // Whole, without the shared ownership that would make the next frame look for memory in this one's.
            return Ok(Some(std::mem::take(&mut self.buffer).freeze()));
        }
        Ok(Some(self.buffer.split_to(size).freeze()))
    }

    /// The next frame without its size prefix; `None` when the peer has closed between frames.
    ///
    /// Cancel-safe: what has been read stays in the reader.
    ///
    /// # Errors
    /// See [`FrameError`]; after one the connection is of no more use.
    pub async fn next<R: AsyncRead + Unpin>(&mut self, source: &mut R) -> Result<Option<Bytes>, FrameError> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(Some(frame));
            }
            let room = self.room()?;
            self.buffer.reserve(room);
            if source.read_buf(&mut self.buffer).await? == 0 {
                let received_bytes = self.buffer.len();
                return if received_bytes == 0 {
                    Ok(None)
                } else {
                    Err(FrameError::Cut { received_bytes })
                };
            }
        }
    }

    /// The size of the frame at the buffer's start, once its prefix is there.
    fn size(&mut self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<SIZE_BYTES>().copied() else {
            return Ok(None);
        };
        if !self.started {
            if let Some(other) = NotKafka::of(prefix) {
                return Err(FrameError::NotKafka(other));
            }
            self.started = true;
        }
        let size = i32::from_be_bytes(prefix);
        match usize::try_from(size) {
            Ok(0) | Err(_) => Err(FrameError::NotPositive { size }),
            Ok(length) if length > self.max_bytes => Err(FrameError::TooLarge {
                size,
                max_bytes: self.max_bytes,
            }),
            Ok(length) => Ok(Some(length)),
        }
    }

    /// How much to make room for: no more than the frame lacks, and no more than [`GROWTH`] times what has arrived of it. Each step
    /// may copy what is there, so there should be few, and none for the last bytes of a large frame. Without a size yet, and
    /// for small frames, one read's worth.
    fn room(&mut self) -> Result<usize, FrameError> {
        let arrived = self.buffer.len();
        let Some(size) = self.size()? else {
            return Ok(READ_BYTES);
        };
        if size <= READ_BYTES {
            return Ok(READ_BYTES);
        }
        let missing = (SIZE_BYTES + size).saturating_sub(arrived);
        Ok(missing.min(GROWTH.saturating_mul(arrived).clamp(READ_BYTES, GROWTH_BYTES_MAX)))
    }
}

#[cfg(test)]
mod tests;
