//! `klamm healthcheck`: one HTTP request, for containers that have no curl.
//!
//! Plain blocking sockets: it runs every few seconds in every container and must cost nothing.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;

/// What is read of an answer; readiness is a few lines.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// `klamm healthcheck`.
#[derive(Debug, Args)]
pub(crate) struct HealthcheckArgs {
    /// Where the node serves its health: klamm.http.listener, with /readyz or /healthz
    #[arg(long, default_value = "http://127.0.0.1:9644/readyz")]
    url: String,
    /// Milliseconds to wait for an answer
    #[arg(long, value_name = "MS", default_value_t = 3_000)]
    timeout: u32,
}

impl HealthcheckArgs {
    pub(super) fn run(self) -> Result<()> {
        let url = Url::parse(&self.url)?;
        let timeout = Duration::from_millis(u64::from(self.timeout.max(1)));
        let (status, body) = url.get(timeout).with_context(|| {
            format!(
                "{} doesn't answer: is the node up, and does klamm.http.listener say this address?",
                self.url
            )
        })?;
        if status == 200 {
            return Ok(());
        }
        bail!("not ready (HTTP status {status}): {}", body.trim())
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Url<'a> {
    authority: &'a str,
    path: String,
}

impl<'a> Url<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let rest = text
            .strip_prefix("http://")
            .ok_or_else(|| anyhow!("{text} isn't served: give http://HOST:PORT/readyz"))?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.is_empty() || text.contains(|letter: char| letter.is_control() || letter == ' ') {
            bail!("{text:?} names no host: give http://HOST:PORT/readyz");
        }
        let path = if path.is_empty() {
            "/".to_owned()
        } else {
            path.to_owned()
        };
        Ok(Self { authority, path })
    }

    /// Status and body of an HTTP/1.1 GET.
    fn get(&self, timeout: Duration) -> Result<(u16, String)> {
        let host_and_port = if has_port(self.authority) {
            self.authority.to_owned()
        } else {
            format!("{}:80", self.authority)
        };
        let mut last = anyhow!("{host_and_port} has no address");
        let mut stream = None;
        for address in host_and_port.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(connected) => {
                    stream = Some(connected);
                    break;
                }
                Err(error) => last = anyhow!(error).context(format!("connecting to {address}")),
            }
        }
        let Some(mut stream) = stream else { return Err(last) };
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        // In one piece: a server may look at the first packet only.
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.path, self.authority
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        parse_answer(&String::from_utf8_lossy(&answer))
    }
}

fn has_port(authority: &str) -> bool {
    authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

fn parse_answer(answer: &str) -> Result<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|status| status.trim().parse::<u16>().ok())
        .ok_or_else(|| anyhow!("the answer isn't HTTP"))?;
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_others_are_refused() {
        let url = Url::parse("http://[::1]:9644/readyz").unwrap();
        assert_eq!((url.authority, url.path.as_str()), ("[::1]:9644", "/readyz"));
        assert_eq!(Url::parse("http://h").unwrap().path, "/");
        for text in ["https://h/", "h:1", "http:///x", "http://h/ HTTP/1.1\r\nX: y"] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_status_line_decides() {
        assert_eq!(
            parse_answer("HTTP/1.1 200 OK\r\nA: b\r\n\r\nready").unwrap(),
            (200, "ready".to_owned())
        );
        assert_eq!(parse_answer("HTTP/1.0 503 No\r\n\r\nfenced").unwrap().0, 503);
        assert!(parse_answer("SSH-2.0").is_err());
    }

    #[test]
    fn a_node_that_answers_200_is_ready_and_no_other() {
        for (answer, is_ready) in [
            ("HTTP/1.1 200 OK\r\n\r\nok", true),
            ("HTTP/1.1 503 X\r\n\r\nfenced", false),
        ] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/readyz", listener.local_addr().unwrap());
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut byte = [0_u8];
                while !request.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).unwrap();
                    request.push(byte[0]);
                }
                assert!(request.starts_with(b"GET /readyz HTTP/1.1\r\n"));
                stream.write_all(answer.as_bytes()).unwrap();
            });
            assert_eq!(HealthcheckArgs { url, timeout: 5_000 }.run().is_ok(), is_ready);
            server.join().unwrap();
        }
    }
}
