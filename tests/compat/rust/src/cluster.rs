//! What rskafka can't tell or ask: where a partition's leader is, how its batches are compressed, and that its replicas move.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Outcome;

const ALTER_PARTITION_REASSIGNMENTS: i16 = 45;
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
/// Of a batch's header: base offset, length, leader epoch, magic and CRC stand before it, and these two bytes are the attributes.
const ATTRIBUTES: std::ops::Range<usize> = 21..23;

#[derive(Clone)]
pub struct Cluster {
    pub bootstrap: Vec<String>,
    /// Of the brokers, where they run on this machine.
    pub log_dirs: Vec<String>,
}

#[derive(Debug, PartialEq)]
pub struct Partition {
    pub leader: i32,
    pub in_sync: usize,
}

impl Cluster {
    /// The partitions of a topic, as kcat finds them.
    pub fn partitions(&self, topic: &str) -> Outcome<Vec<Partition>> {
        let brokers = self.bootstrap.join(",");
        let output = Command::new("timeout")
            .args(["20", "kcat", "-b", &brokers, "-L", "-t", topic])
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let mut partitions = Vec::new();
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("partition "))
        {
            let after = |word: &str| {
                line.split_once(word)
                    .map(|(_, rest)| rest.split(", ").next().unwrap_or(rest))
            };
            let (leader, isrs) = (after("leader ").ok_or(line)?, after("isrs: ").ok_or(line)?);
            partitions.push(Partition {
                leader: leader.parse()?,
                in_sync: isrs.split(',').count(),
            });
        }
        Ok(partitions)
    }

    /// Gives partition 0 other replicas; the first of them is to lead.
    pub fn reassign(&self, topic: &str, replicas: &[i32]) -> Outcome {
        let mut body = Vec::new();
        body.extend(30_000_i32.to_be_bytes());
        body.push(2); // one topic
        body.push(u8::try_from(topic.len() + 1)?);
        body.extend(topic.as_bytes());
        body.push(2); // one partition
        body.extend(0_i32.to_be_bytes());
        body.push(u8::try_from(replicas.len() + 1)?);
        body.extend(replicas.iter().flat_map(|id| id.to_be_bytes()));
        body.extend([0, 0, 0]); // no tags: of the partition, the topic, the request

        let mut frame = Vec::new();
        frame.extend(ALTER_PARTITION_REASSIGNMENTS.to_be_bytes());
        frame.extend(0_i16.to_be_bytes());
        frame.extend(1_i32.to_be_bytes());
        frame.extend((-1_i16).to_be_bytes()); // no client id
        frame.push(0);
        frame.extend(body);

        let mut stream = TcpStream::connect(&self.bootstrap[0])?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(&u32::try_from(frame.len())?.to_be_bytes())?;
        stream.write_all(&frame)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut answer)?;
        // Correlation id and tags, throttle time; then the request's own error.
        let error = answer.get(9..11).ok_or("a short answer")?;
        if error == [0, 0] {
            Ok(())
        } else {
            Err(format!("AlterPartitionReassignments: error {error:?}").into())
        }
    }

    /// The codec of the first batch of a topic's partition 0, from the broker's disk; none where the cluster runs elsewhere.
    pub fn codec_on_disk(&self, topic: &str) -> Outcome<Option<&'static str>> {
        let Some(folder) = self.log_dirs.first() else {
            return Ok(None);
        };
        let segment = std::fs::read(Path::new(folder).join(format!("{topic}-0/00000000000000000000.log")))?;
        let attributes = segment.get(ATTRIBUTES).ok_or("no batch in the segment")?;
        Ok(CODECS.get(usize::from(attributes[1] & 7)).copied())
    }
}
