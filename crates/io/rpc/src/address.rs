//! Where a node's internal services answer.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A host name or address, and a port. Names are resolved anew at each connection: addresses change, names stay.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerAddress {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Not `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{0}' is not host:port")]
pub struct PeerAddressError(String);

impl PeerAddress {
    /// From its parts.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
        }
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for PeerAddress {
    type Err = PeerAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || PeerAddressError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(refuse)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(refuse());
        }
        Ok(Self {
            host: host.to_owned(),
            port: port.parse().map_err(|_| refuse())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_their_text_form() {
        for text in ["n1:9093", "127.0.0.1:1", "[::1]:65535"] {
            assert_eq!(text.parse::<PeerAddress>().unwrap().to_string(), text);
        }
        for text in ["n1", ":1", "n1:", "n1:99999"] {
            assert!(text.parse::<PeerAddress>().is_err());
        }
    }
}
