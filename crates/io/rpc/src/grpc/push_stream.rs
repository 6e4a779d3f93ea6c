//! What a follower receives on a replication stream: messages whose records are slices of what came from the socket.
//!
//! tonic would gather each message first. A record set that came in one piece is taken as it is; one that HTTP/2 has cut is joined.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures::Stream;
use http_body::Body as _;
use prost::Message as _;
use tonic::Status;
use tonic::body::Body;

use super::MESSAGE_BYTES;
use super::push_body::PREFIX_BYTES;
use crate::proto::LeaderToFollower;

/// The messages of a response's body.
#[derive(Debug)]
pub(super) struct PushStream {
    body: Body,
    arrived: Arrived,
}

impl PushStream {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            arrived: Arrived::default(),
        }
    }
}

impl Stream for PushStream {
    type Item = Result<LeaderToFollower, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(message) = this.arrived.message().transpose() {
                return Poll::Ready(Some(message));
            }
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    // Trailers say how it ended, and then it has ended.
                    if let Ok(data) = frame.into_data() {
                        this.arrived.push(data);
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// What has arrived and isn't a message yet.
#[derive(Debug, Default)]
struct Arrived {
    pieces: VecDeque<Bytes>,
    length: usize,
}

impl Arrived {
    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.length += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// The next message, if all of it is there.
    fn message(&mut self) -> Result<Option<LeaderToFollower>, Status> {
        let mut prefix = [0; PREFIX_BYTES];
        let arrived = self.pieces.iter().flat_map(|piece| piece.iter());
        if self.length < PREFIX_BYTES {
            return Ok(None);
        }
        for (byte, came) in prefix.iter_mut().zip(arrived) {
            *byte = *came;
        }
        let [compressed, length @ ..] = prefix;
        let length = u32::from_be_bytes(length) as usize;
        if compressed != 0 || length > MESSAGE_BYTES {
            return Err(Status::out_of_range(format!(
                "a message of {length} bytes, or a compressed one"
            )));
        }
        if self.length < PREFIX_BYTES + length {
            return Ok(None);
        }
        self.advance(PREFIX_BYTES);
        let message = LeaderToFollower::decode(Buf::take(&mut *self, length));
        message
            .map(Some)
            .map_err(|error| Status::internal(format!("not a message: {error}")))
    }
}

impl Buf for Arrived {
    fn remaining(&self) -> usize {
        self.length
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn advance(&mut self, count: usize) {
        let mut left = count.min(self.length);
        self.length -= left;
        while let Some(piece) = self.pieces.front_mut() {
            let taken = left.min(piece.len());
            piece.advance(taken);
            left -= taken;
            if !piece.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        if let Some(piece) = self.pieces.front()
            && piece.len() >= length
        {
            let taken = piece.slice(..length);
            self.advance(length);
            return taken;
        }
        let mut joined = BytesMut::with_capacity(length);
        while joined.len() < length && self.length > 0 {
            let chunk = self.chunk();
            let taken = chunk.len().min(length - joined.len());
            joined.extend_from_slice(chunk.get(..taken).unwrap_or_default());
            self.advance(taken);
        }
        joined.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::leader_to_follower::Message;
    use crate::proto::{Push, PushBatch};

    fn message(records: usize) -> LeaderToFollower {
        let push = Push {
            follow_id: 7,
            records: vec![9; records].into(),
            ..Push::default()
        };
        LeaderToFollower {
            message: Some(Message::Pushes(PushBatch { pushes: vec![push] })),
        }
    }

    fn sent(message: &LeaderToFollower) -> Vec<u8> {
        let body = message.encode_to_vec();
        [&[0], (body.len() as u32).to_be_bytes().as_slice(), &body].concat()
    }

    #[test]
    fn messages_come_out_however_they_were_cut() {
        let messages = [message(0), message(5), message(300), message(0)];
        let all: Vec<u8> = messages.iter().flat_map(sent).collect();
        for width in [1, 2, 3, 7, 64, all.len()] {
            let mut arrived = Arrived::default();
            let mut found = Vec::new();
            for piece in all.chunks(width) {
                arrived.push(Bytes::copy_from_slice(piece));
                while let Some(message) = arrived.message().unwrap() {
                    found.push(message);
                }
            }
            assert_eq!(found, messages, "width {width}");
            assert_eq!((arrived.remaining(), arrived.pieces.len()), (0, 0));
        }
    }

    #[test]
    fn records_that_came_in_one_piece_are_not_copied() {
        let all = Bytes::from(sent(&message(5_000)));
        let range = all.as_ptr_range();
        let mut arrived = Arrived::default();
        arrived.push(all);
        let Some(Message::Pushes(batch)) = arrived.message().unwrap().unwrap().message else {
            unreachable!()
        };
        assert!(range.contains(&batch.pushes[0].records.as_ptr()));
    }

    #[test]
    fn nonsense_is_an_error_and_no_panic() {
        for bytes in [
            vec![1, 0, 0, 0, 0],
            vec![0, 255, 255, 255, 255],
            vec![0, 0, 0, 0, 2, 0x12, 0xff],
            vec![0, 0, 0, 0, 4, 0x12, 2, 0x0a, 0x7f],
        ] {
            let mut arrived = Arrived::default();
            arrived.push(bytes.clone().into());
            assert!(arrived.message().is_err(), "{bytes:?}");
        }
    }
}
