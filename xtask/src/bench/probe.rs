//! Whether a node serves: one Metadata request over a plain socket. A client library would choose the node itself, take its
//! time, and remember what it heard.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// Kafka's number of Metadata, in a version whose requests have plain lengths.
const METADATA: (i16, i16) = (3, 4);
const CLIENT: &[u8] = b"bench";
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// No answer that lists no topic is longer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How many brokers the node at this port lists.
pub(super) fn brokers(port: u16) -> anyhow::Result<i32> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    stream.write_all(&request())?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = usize::try_from(u32::from_be_bytes(size))?;
    ensure!(size <= ANSWER_BYTES_MAX, "an answer of {size} bytes");
    let mut answer = vec![0; size];
    stream.read_exact(&mut answer)?;
    count(&answer).context("an answer that ends too early")
}

/// No topic, and none to be created.
fn request() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(METADATA.0.to_be_bytes());
    body.extend(METADATA.1.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend((CLIENT.len() as i16).to_be_bytes());
    body.extend(CLIENT);
    body.extend(0_i32.to_be_bytes());
    body.push(0);
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

/// Behind the correlation id and the throttle time.
fn count(answer: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(answer.get(8..12)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_has_its_length_and_the_answer_its_brokers() {
        let request = request();
        assert_eq!(request.len(), 4 + 8 + 2 + 5 + 5);
        assert_eq!(request.get(..8), Some([0, 0, 0, 20, 0, 3, 0, 4].as_slice()));
        assert_eq!(count(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 9]), Some(3));
        assert_eq!(count(&[0, 0, 0, 1]), None);
    }
}
