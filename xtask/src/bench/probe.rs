//! Whether a node serves, and what it sees: one Metadata request over a plain socket. A client library would choose the node itself, take its
//! time, and remember what it heard.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// Kafka's number of Metadata, in a version whose requests have plain lengths.
const METADATA: (i16, i16) = (3, 4);
const CLIENT: &[u8] = b"bench";
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// 10,000 partitions take less.
const ANSWER_BYTES_MAX: usize = 1 << 24;

/// What a node sees of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    pub(super) brokers: usize,
    pub(super) partitions: usize,
    /// Partitions with a leader and all their replicas in sync.
    pub(super) in_sync: usize,
}

/// What the node at this port sees: of all topics, or of none, which costs it nothing.
pub(super) fn view(port: u16, topics: bool) -> anyhow::Result<View> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    stream.write_all(&request(topics))?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = usize::try_from(u32::from_be_bytes(size))?;
    ensure!(size <= ANSWER_BYTES_MAX, "an answer of {size} bytes");
    let mut answer = vec![0; size];
    stream.read_exact(&mut answer)?;
    parse(&answer).context("an answer that ends too early")
}

/// None to be created.
fn request(topics: bool) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(METADATA.0.to_be_bytes());
    body.extend(METADATA.1.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend((CLIENT.len() as i16).to_be_bytes());
    body.extend(CLIENT);
    body.extend(if topics { -1_i32 } else { 0 }.to_be_bytes());
    body.push(0);
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

/// Behind the correlation id and the throttle time: brokers, the cluster's id, the controller, topics.
fn parse(answer: &[u8]) -> Option<View> {
    let mut fields = Fields(answer.get(8..)?);
    let brokers = fields.count()?;
    for _ in 0..brokers {
        fields.skip(4)?;
        fields.text()?;
        fields.skip(4)?;
        fields.text()?;
    }
    fields.text()?;
    fields.skip(4)?;
    let mut view = View {
        brokers,
        partitions: 0,
        in_sync: 0,
    };
    for _ in 0..fields.count()? {
        fields.skip(2)?;
        fields.text()?;
        fields.skip(1)?;
        for _ in 0..fields.count()? {
            fields.skip(2 + 4)?;
            let leader = fields.number()?;
            let replicas = fields.numbers()?;
            let in_sync = fields.numbers()?;
            view.partitions += 1;
            view.in_sync += usize::from(leader >= 0 && in_sync >= replicas);
        }
    }
    Some(view)
}

/// What is left of an answer.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    fn number(&mut self) -> Option<i32> {
        let number = i32::from_be_bytes(*self.0.first_chunk()?);
        self.skip(4)?;
        Some(number)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    /// How many there are of a list of numbers.
    fn numbers(&mut self) -> Option<usize> {
        let count = self.count()?;
        self.skip(count.checked_mul(4)?)?;
        Some(count)
    }

    /// A text, or none.
    fn text(&mut self) -> Option<()> {
        let length = i16::from_be_bytes(*self.0.first_chunk()?);
        self.skip(2 + usize::try_from(length).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_has_its_length_and_the_answer_its_brokers() {
        let request = request(true);
        assert_eq!(request.len(), 4 + 8 + 2 + 5 + 5);
        assert_eq!(request.get(..8), Some([0, 0, 0, 20, 0, 3, 0, 4].as_slice()));
        let numbers = |numbers: &[i32]| {
            numbers
                .iter()
                .flat_map(|number| number.to_be_bytes())
                .collect::<Vec<_>>()
        };
        let mut answer = numbers(&[7, 0, 1, 1]);
        answer.extend([&[0, 1, b'h'], numbers(&[9092]).as_slice(), &[255, 255]].concat());
        answer.extend([&[0, 1, b'c'], numbers(&[1, 1]).as_slice(), &[0, 0, 0, 1, b't', 0]].concat());
        answer.extend(numbers(&[2]));
        answer.extend([&[0, 0], numbers(&[0, 1, 2, 1, 2, 2, 2, 1]).as_slice()].concat());
        answer.extend([&[0, 0], numbers(&[1, 1, 2, 1, 2, 1, 1]).as_slice()].concat());
        let seen = View {
            brokers: 1,
            partitions: 2,
            in_sync: 1,
        };
        assert_eq!(parse(&answer), Some(seen));
        assert!((0..answer.len()).all(|length| parse(&answer[..length]).is_none()));
    }
}
