//! Versions that Kafka 4.4 has and the codec lacks: their bytes are rewritten to the newest version that it knows, or from it.
//!
//! BEYOND-1: what is rewritten was walked by the decode guard in its own version (requests), or comes from the codec (responses), so
//! every length in it holds. The walk checks all the same, and answers with an error instead of a panic.
//!
//! | API | version | what it adds | here |
//! | --- | --- | --- | --- |
//! | ListOffsets | 11 | nothing but another special timestamp | as 10 |
//! | OffsetCommit, OffsetFetch (requests) | 10 | topic ids instead of names | a name that no topic has stands for the id, see [`topic_reference`] |
//! | ApiVersions | 5 | the cluster and node that the client means (KIP-1242) | left out, see [`meant_node`] |
//! | DescribeLogDirs | 5 | whether a directory is cordoned | none is |
//! | DeleteGroups | 3 | a message for each group | none |

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, TopicName};
use types::{TopicId, Uuid};

/// Begins a name that stands for an id: no topic's name has it.
const ID_MARK: char = '\0';

/// A topic as a request names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicReference<'a> {
    /// By its name.
    Name(&'a str),
    /// By its id.
    Id(TopicId),
}

/// What a request's topic name stands for.
#[must_use]
pub fn topic_reference(name: &TopicName) -> TopicReference<'_> {
    let text = name.0.as_str();
    let id = text.strip_prefix(ID_MARK).and_then(|id| Uuid::parse_str(id).ok());
    id.map_or(TopicReference::Name(text), |id| TopicReference::Id(TopicId(id)))
}

fn name_of(id: Uuid) -> String {
    format!("{ID_MARK}{}", id.as_simple())
}

/// The version that the codec decodes and encodes for this one.
pub(crate) fn codec_version(api_key: i16, version: i16) -> i16 {
    match (ApiKey::try_from(api_key), version) {
        (Ok(ApiKey::ListOffsets), 11) => 10,
        (Ok(ApiKey::ApiVersions), 5) => 4,
        (Ok(ApiKey::DescribeLogDirs), 5) => 4,
        (Ok(ApiKey::DeleteGroups), 3) => 2,
        (Ok(ApiKey::AddRaftVoter), 1) => 0,
        _ => version,
    }
}

/// The same for a request: these two end earlier than their responses.
pub(crate) fn request_codec_version(api_key: i16, version: i16) -> i16 {
    match (ApiKey::try_from(api_key), version) {
        (Ok(ApiKey::OffsetCommit | ApiKey::OffsetFetch), 10) => 9,
        _ => codec_version(api_key, version),
    }
}

/// A request's body for the codec; `None` where it ends too early.
pub(crate) fn request_for_codec(api_key: i16, version: i16, body: Bytes) -> Option<Bytes> {
    match (ApiKey::try_from(api_key), version) {
        (Ok(ApiKey::OffsetCommit), 10) => Rewrite::of(body, |body| {
            body.string()?;
            body.copy(4)?;
            body.string()?;
            body.string()?;
            body.array(|topic| {
                topic.id_to_name()?;
                topic.array(|partition| {
                    partition.copy(4 + 8 + 4)?;
                    partition.string()?;
                    partition.tags()
                })?;
                topic.tags()
            })?;
            body.rest()
        }),
        (Ok(ApiKey::OffsetFetch), 10) => Rewrite::of(body, |body| {
            body.array(|group| {
                group.string()?;
                group.string()?;
                group.copy(4)?;
                group.array(|topic| {
                    topic.id_to_name()?;
                    topic.array(|partition| partition.copy(4))?;
                    topic.tags()
                })?;
                group.tags()
            })?;
            body.rest()
        }),
        // When to answer: always when the change is committed.
        (Ok(ApiKey::AddRaftVoter), 1) => Rewrite::of(body, |body| {
            body.string()?;
            body.copy(4 + 4 + 16)?;
            body.array(|listener| {
                listener.string()?;
                listener.string()?;
                listener.copy(2)?;
                listener.tags()
            })?;
            body.skip(1)?;
            body.rest()
        }),
        (Ok(ApiKey::ApiVersions), 5) => Rewrite::of(body, |body| {
            body.string()?;
            body.string()?;
            body.skip_string()?;
            body.skip(4)?;
            body.rest()
        }),
        _ => Some(body),
    }
}

/// The cluster and the node that an ApiVersions request of v5 or later means; `None` and -1 where it doesn't say.
#[must_use]
pub fn meant_node(version: i16, body: &Bytes) -> (Option<String>, i32) {
    let mut meant = (None, -1);
    if version >= 5 {
        let _ = Rewrite::of(body.clone(), |body| {
            body.string()?;
            body.string()?;
            let cluster = body.read_string()?;
            let node = body.left.try_get_i32().ok()?;
            meant = (cluster, node);
            Some(())
        });
    }
    meant
}

/// A response's body as this version has it, from the codec's; `None` where that isn't what it should be.
pub(crate) fn response_from_codec(api_key: i16, version: i16, body: Bytes) -> Option<Bytes> {
    match (ApiKey::try_from(api_key), version) {
        (Ok(ApiKey::DescribeLogDirs), 5) => Rewrite::of(body, |body| {
            body.copy(4 + 2)?;
            body.array(|directory| {
                directory.copy(2)?;
                directory.string()?;
                directory.array(|topic| {
                    topic.string()?;
                    topic.array(|partition| {
                        partition.copy(4 + 8 + 8 + 1)?;
                        partition.tags()
                    })?;
                    topic.tags()
                })?;
                directory.copy(8 + 8)?;
                // Not cordoned.
                directory.written.put_u8(0);
                directory.tags()
            })?;
            body.rest()
        }),
        (Ok(ApiKey::DeleteGroups), 3) => Rewrite::of(body, |body| {
            body.copy(4)?;
            body.array(|group| {
                group.string()?;
                group.copy(2)?;
                // No message.
                group.written.put_u8(0);
                group.tags()
            })?;
            body.rest()
        }),
        _ => Some(body),
    }
}

/// Copies a flexible structure piece by piece, and changes some on the way.
struct Rewrite {
    left: Bytes,
    written: BytesMut,
}

impl Rewrite {
    fn of(body: Bytes, rewrite: impl FnOnce(&mut Self) -> Option<()>) -> Option<Bytes> {
        let mut this = Self {
            written: BytesMut::with_capacity(body.len() + 64),
            left: body,
        };
        rewrite(&mut this)?;
        Some(this.written.freeze())
    }

    fn take(&mut self, count: usize) -> Option<Bytes> {
        (count <= self.left.len()).then(|| self.left.split_to(count))
    }

    fn copy(&mut self, count: usize) -> Option<()> {
        let taken = self.take(count)?;
        self.written.put(taken);
        Some(())
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(drop)
    }

    fn rest(&mut self) -> Option<()> {
        self.copy(self.left.len())
    }

    fn uvarint(&mut self) -> Option<u32> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.left.try_get_u8().ok()?;
            value |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn put_uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.written.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.written.put_u8(value as u8);
    }

    /// A compact string or bytes, null or not.
    fn string(&mut self) -> Option<()> {
        let length = self.uvarint()?;
        self.put_uvarint(length);
        self.copy(length.saturating_sub(1) as usize)
    }

    fn skip_string(&mut self) -> Option<()> {
        let length = self.uvarint()?;
        self.skip(length.saturating_sub(1) as usize)
    }

    fn read_string(&mut self) -> Option<Option<String>> {
        match self.uvarint()?.checked_sub(1) {
            None => Some(None),
            Some(length) => {
                let text = self.take(length as usize)?;
                Some(Some(std::str::from_utf8(&text).ok()?.to_owned()))
            }
        }
    }

    fn id_to_name(&mut self) -> Option<()> {
        let id = self.take(16)?;
        let name = name_of(Uuid::from_slice(&id).ok()?);
        self.put_uvarint(u32::try_from(name.len()).ok()?.saturating_add(1));
        self.written.put_slice(name.as_bytes());
        Some(())
    }

    /// A compact array, null or not.
    fn array(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        let count = self.uvarint()?;
        self.put_uvarint(count);
        (1..count).try_for_each(|_| element(self))
    }

    fn tags(&mut self) -> Option<()> {
        let count = self.uvarint()?;
        self.put_uvarint(count);
        for _ in 0..count {
            let tag = self.uvarint()?;
            self.put_uvarint(tag);
            let length = self.uvarint()?;
            self.put_uvarint(length);
            self.copy(length as usize)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::add_raft_voter_request::Listener as AddRaftVoterListener;
    use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
    use kafka_protocol::messages::describe_log_dirs_response::{
        DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
    };
    use kafka_protocol::messages::{
        AddRaftVoterRequest, DeleteGroupsResponse, DescribeLogDirsResponse, GroupId, OffsetCommitRequest,
    };
    use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

    use super::*;

    fn text(text: &'static str) -> StrBytes {
        StrBytes::from_static_str(text)
    }

    #[test]
    fn a_commit_by_topic_id_is_read() {
        let id = Uuid::from_u128(7);
        let mut body = BytesMut::new();
        body.put_slice(b"\x02g\0\0\0\x05\x02m\0\x02");
        body.put_slice(id.as_bytes());
        body.put_slice(b"\x02\0\0\0\x03\0\0\0\0\0\0\0\x2a\0\0\0\x01\0\0\0\0");
        let body = body.freeze();
        let mut rewritten = request_for_codec(8, 10, body.clone()).unwrap();
        let request = OffsetCommitRequest::decode(&mut rewritten, 9).unwrap();
        assert!(rewritten.is_empty());
        assert_eq!(
            topic_reference(&request.topics[0].name),
            TopicReference::Id(TopicId(id))
        );
        let partition = &request.topics[0].partitions[0];
        assert_eq!((partition.partition_index, partition.committed_offset), (3, 42));
        for end in 0..body.len() - 1 {
            assert!(request_for_codec(8, 10, body.slice(..end)).is_none(), "cut at {end}");
        }
    }

    #[test]
    fn a_name_is_a_name() {
        assert_eq!(topic_reference(&TopicName(text("t"))), TopicReference::Name("t"));
        assert_eq!(topic_reference(&TopicName(text(""))), TopicReference::Name(""));
    }

    #[test]
    fn the_node_that_a_client_means_is_read_and_left_out() {
        let body = Bytes::from_static(b"\x02a\x02b\x02c\0\0\0\x07\0");
        assert_eq!(meant_node(5, &body), (Some("c".to_owned()), 7));
        assert_eq!(meant_node(4, &body), (None, -1));
        assert_eq!(
            request_for_codec(18, 5, body).unwrap(),
            Bytes::from_static(b"\x02a\x02b\0")
        );
    }

    #[test]
    fn a_voter_is_added_whenever_its_client_wants_to_hear_of_it() {
        let listener = AddRaftVoterListener::default()
            .with_name(text("CONTROLLER"))
            .with_host(text("h"))
            .with_port(9093);
        let request = AddRaftVoterRequest::default()
            .with_cluster_id(Some(text("c")))
            .with_voter_id(4)
            .with_listeners(vec![listener]);
        let mut body = BytesMut::new();
        request.encode(&mut body, 0).unwrap();
        // Before the tags that end it.
        let end = body.split_off(body.len() - 1);
        body.put_u8(0);
        body.unsplit(end);
        let mut rewritten = request_for_codec(80, 1, body.freeze()).unwrap();
        assert_eq!(AddRaftVoterRequest::decode(&mut rewritten, 0).unwrap(), request);
        assert!(rewritten.is_empty());
    }

    #[test]
    fn responses_get_what_the_codec_lacks() {
        let group = DeletableGroupResult::default()
            .with_group_id(GroupId(text("g")))
            .with_error_code(69);
        let mut body = BytesMut::new();
        DeleteGroupsResponse::default()
            .with_results(vec![group])
            .encode(&mut body, 2)
            .unwrap();
        let rewritten = response_from_codec(42, 3, body.freeze()).unwrap();
        assert_eq!(&rewritten[..], b"\0\0\0\0\x02\x02g\0\x45\0\0\0");

        let partition = DescribeLogDirsPartition::default().with_partition_size(5);
        let topic = DescribeLogDirsTopic::default()
            .with_name(TopicName(text("t")))
            .with_partitions(vec![partition]);
        let directory = DescribeLogDirsResult::default()
            .with_log_dir(text("/d"))
            .with_topics(vec![topic])
            .with_total_bytes(9)
            .with_usable_bytes(8);
        let response = DescribeLogDirsResponse::default().with_results(vec![directory]);
        let mut body = BytesMut::new();
        response.encode(&mut body, 4).unwrap();
        let old = body.freeze();
        let rewritten = response_from_codec(35, 5, old.clone()).unwrap();
        assert_eq!(rewritten.len(), old.len() + 1);
        assert!(rewritten.ends_with(b"\0\0\0\0\0\0\0\x08\0\0\0"));
    }
}
