//! What a leader sends on a replication stream, as the body of a gRPC response, without a copy of its records.
//!
//! tonic would gather each message in a buffer, records and all. Here the fields around the records are encoded into small
//! pieces, and the records go between them as they came from the log. On the wire it is the same message (a test asks
//! tonic's own client).

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use http_body::Frame;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tokio::sync::mpsc;
use tonic::Status;
use tonic::codegen::http::{HeaderMap, HeaderValue};

use crate::proto::leader_to_follower::Message;
use crate::proto::{LeaderToFollower, PushBatch};

/// Records below this are copied between the fields: each piece becomes a frame of HTTP/2, and each frame a call of the kernel.
const PIECE_MIN_BYTES: usize = 16 << 10;
/// Whether a message is compressed, and its length.
pub(super) const PREFIX_BYTES: usize = 5;
/// The fields' numbers in replication.proto.
const PUSHES: u32 = 2;
const PUSH: u32 = 1;
const RECORDS: u32 = 3;

/// The body: messages as they come, then the trailers.
#[derive(Debug)]
pub(super) struct PushBody {
    messages: mpsc::Receiver<LeaderToFollower>,
    pieces: VecDeque<Bytes>,
    ended: bool,
}

impl PushBody {
    pub(super) fn new(messages: mpsc::Receiver<LeaderToFollower>) -> Self {
        Self {
            messages,
            pieces: VecDeque::new(),
            ended: false,
        }
    }
}

impl http_body::Body for PushBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        loop {
            if let Some(piece) = this.pieces.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            match ready!(this.messages.poll_recv(context)) {
                Some(message) => this.pieces = pieces(message),
                None => {
                    this.ended = true;
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", HeaderValue::from_static("0"));
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
            }
        }
    }
}

/// A message as it goes over the wire, its prefix first.
fn pieces(message: LeaderToFollower) -> VecDeque<Bytes> {
    match message.message {
        Some(Message::Pushes(batch)) => pieces_of(batch),
        _ => {
            let length = message.encoded_len();
            let mut whole = BytesMut::with_capacity(PREFIX_BYTES + length);
            put_prefix(&mut whole, length);
            whole.put_slice(&message.encode_to_vec());
            VecDeque::from([whole.freeze()])
        }
    }
}

fn put_prefix(buffer: &mut BytesMut, length: usize) {
    buffer.put_u8(0);
    // A batch of pushes is bounded by the largest batch of records, far below 4 GiB.
    buffer.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

fn pieces_of(batch: PushBatch) -> VecDeque<Bytes> {
    // The records apart from the other fields, which may stand in any order.
    let pushes: Vec<(Vec<u8>, Bytes)> = batch
        .pushes
        .into_iter()
        .map(|mut push| {
            let records = std::mem::take(&mut push.records);
            (push.encode_to_vec(), records)
        })
        .collect();
    let length_of = |(fields, records): &(Vec<u8>, Bytes)| fields.len() + delimited(RECORDS, records.len());
    let batch_length: usize = pushes.iter().map(|push| nested(PUSH, length_of(push))).sum();
    let mut pieces = VecDeque::new();
    let mut fields = BytesMut::with_capacity(1 << 10);
    put_prefix(&mut fields, nested(PUSHES, batch_length));
    begin(&mut fields, PUSHES, batch_length);
    for push in pushes {
        begin(&mut fields, PUSH, length_of(&push));
        let (others, records) = push;
        fields.put_slice(&others);
        if records.is_empty() {
            continue;
        }
        begin(&mut fields, RECORDS, records.len());
        if records.len() < PIECE_MIN_BYTES {
            fields.put_slice(&records);
        } else {
            pieces.push_back(fields.split().freeze());
            pieces.push_back(records);
        }
    }
    if !fields.is_empty() {
        pieces.push_back(fields.freeze());
    }
    pieces
}

/// The beginning of a field whose length comes first.
fn begin(buffer: &mut BytesMut, field: u32, length: usize) {
    encode_key(field, WireType::LengthDelimited, buffer);
    encode_varint(length as u64, buffer);
}

/// What such a field takes.
fn nested(field: u32, length: usize) -> usize {
    key_len(field) + encoded_len_varint(length as u64) + length
}

/// The same of bytes, which are left out when there are none.
fn delimited(field: u32, length: usize) -> usize {
    if length == 0 { 0 } else { nested(field, length) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{ProbeReply, Push};

    fn joined(message: LeaderToFollower) -> Vec<u8> {
        pieces(message).iter().flat_map(|piece| piece.iter().copied()).collect()
    }

    fn batch(lengths: &[usize]) -> LeaderToFollower {
        let push = |(at, length): (usize, &usize)| Push {
            follow_id: 300 + at as u64,
            base_offset: 1 << 40,
            records: vec![at as u8; *length].into(),
            high_watermark: at as i64,
            log_start_offset: 0,
            leader_log_end: -1,
            near: at % 2 == 0,
        };
        let pushes = lengths.iter().enumerate().map(push).collect();
        LeaderToFollower {
            message: Some(Message::Pushes(PushBatch { pushes })),
        }
    }

    #[test]
    fn what_is_sent_in_pieces_is_the_message() {
        let probe = LeaderToFollower {
            message: Some(Message::Probed(ProbeReply {})),
        };
        let sizes = [
            0,
            1,
            127,
            128,
            PIECE_MIN_BYTES - 1,
            PIECE_MIN_BYTES,
            3 * PIECE_MIN_BYTES,
            0,
        ];
        let messages = [probe, batch(&[]), batch(&[0]), batch(&[1 << 20]), batch(&sizes)];
        for message in messages {
            let sent = joined(message.clone());
            let (prefix, body) = sent.split_at(PREFIX_BYTES);
            assert_eq!(prefix, [&[0], (body.len() as u32).to_be_bytes().as_slice()].concat());
            assert_eq!(LeaderToFollower::decode(body).unwrap(), message);
        }
    }

    #[test]
    fn large_records_are_not_copied_and_small_ones_make_no_pieces() {
        let message = batch(&[10, 100, PIECE_MIN_BYTES, 20]);
        let Some(Message::Pushes(PushBatch { pushes })) = &message.message else {
            unreachable!()
        };
        let large = pushes[2].records.as_ptr();
        let pieces = pieces(message);
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces[1].as_ptr(), large);
    }
}
