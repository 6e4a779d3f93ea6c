//! Listeners: where a node listens, what it tells others to dial, and which listener is for whom.
//!
//! The rules, and most of what can go wrong, are Kafka's (KIP-103, KIP-631): names are unique and map to security
//! protocols; controllers listen on `controller.listener.names`, brokers on the rest; nobody can dial 0.0.0.0.
//! An empty host stays empty here: the shell that binds knows the machine's name.

use std::fmt;

use crate::reader::Reader;
use crate::server::ProcessRoles;

/// How a listener's connections are protected. Only `Plaintext` is served so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without TLS.
    SaslPlaintext,
    /// SASL within TLS.
    SaslSsl,
}

impl SecurityProtocol {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "PLAINTEXT" => Some(Self::Plaintext),
            "SSL" => Some(Self::Ssl),
            "SASL_PLAINTEXT" => Some(Self::SaslPlaintext),
            "SASL_SSL" => Some(Self::SaslSsl),
            _ => None,
        }
    }

    /// Kafka's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// A name or an address, IPv6 without brackets. Empty stands for every interface, or for this machine's name.
    pub host: String,
    /// 0 lets the system choose.
    pub port: u16,
}

impl Endpoint {
    /// Reads `host:port`, `[v6]:port` or `:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.trim().rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?,
            None => host,
        };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'%' | b'.' | b'_' | b':');
        if !host.bytes().all(allowed) || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self {
            host: host.to_owned(),
            port: port.parse().ok()?,
        })
    }

    /// Whether the host means every interface, which nobody can dial.
    #[must_use]
    pub fn is_unroutable(&self) -> bool {
        matches!(self.host.as_str(), "0.0.0.0" | "::")
    }

    /// Whether only this machine can dial the host.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost") || self.host.starts_with("127.") || self.host == "::1"
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// One listener, or what is advertised for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name, in upper case.
    pub name: String,
    /// Where it listens, or what others dial.
    pub endpoint: Endpoint,
    /// How connections are protected.
    pub protocol: SecurityProtocol,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.name, self.endpoint)
    }
}

/// A node's listeners.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listeners {
    /// Where the broker listens; empty without that role.
    pub broker: Vec<Listener>,
    /// Where the controller listens; empty without that role.
    pub controller: Vec<Listener>,
    /// What clients and brokers are told to dial, one for each broker listener at least. An empty host is to be replaced by
    /// the machine's name, a port 0 by the bound one.
    pub advertised: Vec<Listener>,
    /// What is advertised for controller listeners, if anything.
    pub advertised_controller: Vec<Listener>,
    /// `controller.listener.names`, in upper case; the first is the one brokers dial.
    pub controller_names: Vec<String>,
    /// The listener brokers use among themselves; empty without the broker role.
    pub inter_broker: String,
}

impl Listeners {
    /// Reads and checks everything about listeners.
    pub(crate) fn read(reader: &mut Reader<'_>, roles: ProcessRoles) -> Self {
        let controller_names: Vec<String> = reader
            .list("controller.listener.names")
            .iter()
            .map(|name| name.to_ascii_uppercase())
            .collect();
        let protocols = Protocols::read(reader, &controller_names);
        let all = parse_listeners(reader, "listeners", &protocols);
        let (controller, broker): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|listener| controller_names.contains(&listener.name));
        let advertised = match reader.given("advertised.listeners") {
            Some(_) => parse_listeners(reader, "advertised.listeners", &protocols),
            None => broker.clone(),
        };
        let (advertised_controller, advertised): (Vec<_>, Vec<_>) = advertised
            .into_iter()
            .partition(|listener| controller_names.contains(&listener.name));
        let mut listeners = Self {
            broker,
            controller,
            advertised,
            advertised_controller,
            controller_names,
            inter_broker: String::new(),
        };
        listeners.check_roles(reader, roles);
        if roles.broker {
            listeners.check_advertised(reader);
            listeners.inter_broker = listeners.read_inter_broker(reader);
        }
        listeners
    }

    fn check_roles(&self, reader: &mut Reader<'_>, roles: ProcessRoles) {
        let given = reader.text("listeners").unwrap_or_default().to_owned();
        let names = self.controller_names.join(",");
        if roles.controller && self.controller.is_empty() && !self.controller_names.is_empty() {
            let expected = format!("a controller must listen on one of controller.listener.names ({names})");
            reader.invalid("listeners", given.as_str(), expected);
        }
        if !roles.controller && !self.controller.is_empty() {
            let expected =
                format!("a node without the controller role can't listen on controller.listener.names ({names})");
            reader.invalid("listeners", given.as_str(), expected);
        }
        if roles.controller && !roles.broker && !self.broker.is_empty() {
            let expected =
                format!("a node without the broker role listens on controller.listener.names ({names}) only");
            reader.invalid("listeners", given.as_str(), expected);
        }
        if roles.broker && self.broker.is_empty() && !given.is_empty() {
            let expected = format!("a broker needs a listener that isn't among controller.listener.names ({names})");
            reader.invalid("listeners", given.as_str(), expected);
        }
    }

    fn check_advertised(&self, reader: &mut Reader<'_>) {
        for listener in self
            .advertised
            .iter()
            .filter(|listener| listener.endpoint.is_unroutable())
        {
            let expected = format!(
                "{} means every interface, which nobody can dial: advertise a name or an address, as in {}://localhost:{}",
                listener.endpoint.host, listener.name, listener.endpoint.port
            );
            reader.invalid("advertised.listeners", listener.to_string(), expected);
        }
        for listener in &self.advertised {
            if !self.broker.iter().any(|own| own.name == listener.name) {
                let expected = format!("listeners has no {}", listener.name);
                reader.invalid("advertised.listeners", listener.to_string(), expected);
            }
        }
    }

    fn read_inter_broker(&self, reader: &mut Reader<'_>) -> String {
        let by_name = reader.given("inter.broker.listener.name").map(str::to_ascii_uppercase);
        let by_protocol = reader.given("security.inter.broker.protocol");
        if let (Some(name), Some(_)) = (&by_name, by_protocol) {
            let expected = "give either it or security.inter.broker.protocol";
            reader.invalid("inter.broker.listener.name", name.as_str(), expected);
        }
        let key = if by_name.is_some() {
            "inter.broker.listener.name"
        } else {
            "security.inter.broker.protocol"
        };
        let name = by_name.unwrap_or_else(|| by_protocol.unwrap_or("PLAINTEXT").to_ascii_uppercase());
        if self.controller_names.contains(&name) {
            reader.invalid(
                key,
                name.as_str(),
                "it is among controller.listener.names, which brokers don't serve",
            );
        } else if !self.advertised.iter().any(|listener| listener.name == name) && !self.broker.is_empty() {
            let known: Vec<&str> = self.advertised.iter().map(|listener| listener.name.as_str()).collect();
            let expected = format!("must be a listener in advertised.listeners ({})", known.join(", "));
            reader.invalid(key, name.as_str(), expected);
        }
        name
    }
}

/// `listener.security.protocol.map`.
struct Protocols {
    entries: Vec<(String, SecurityProtocol)>,
}

impl Protocols {
    const KEY: &'static str = "listener.security.protocol.map";

    fn read(reader: &mut Reader<'_>, controller_names: &[String]) -> Self {
        let mut entries = Vec::new();
        for entry in reader.list(Self::KEY) {
            let parsed = entry.rsplit_once(':').and_then(|(name, protocol)| {
                Some((
                    name.trim().to_ascii_uppercase(),
                    SecurityProtocol::parse(protocol.trim())?,
                ))
            });
            match parsed {
                Some(pair) => entries.push(pair),
                None => {
                    reader.invalid(
                        Self::KEY,
                        entry,
                        "expected NAME:PLAINTEXT (or SSL, SASL_PLAINTEXT, SASL_SSL)",
                    );
                }
            }
        }
        // KIP-631: without a map of one's own, controller listeners are plaintext, so that small clusters need none.
        if reader.given(Self::KEY).is_none() {
            for name in controller_names {
                if !entries.iter().any(|(known, _)| known == name) {
                    entries.push((name.clone(), SecurityProtocol::Plaintext));
                }
            }
        }
        Self { entries }
    }

    fn of(&self, name: &str) -> Option<SecurityProtocol> {
        self.entries
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, protocol)| *protocol)
    }
}

fn parse_listeners(reader: &mut Reader<'_>, key: &str, protocols: &Protocols) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    for text in reader.list(key) {
        let parsed = text.split_once("://").and_then(|(name, address)| {
            Some((name.trim().to_ascii_uppercase(), Endpoint::parse(address)?)).filter(|(name, _)| !name.is_empty())
        });
        let Some((name, endpoint)) = parsed else {
            reader.invalid(key, text, "expected NAME://host:port, as in PLAINTEXT://localhost:9092");
            continue;
        };
        let protocol = match protocols.of(&name) {
            Some(SecurityProtocol::Plaintext) => SecurityProtocol::Plaintext,
            Some(other) => {
                let expected = format!(
                    "{} isn't served yet: use a listener whose protocol is PLAINTEXT",
                    other.name()
                );
                reader.invalid(key, text, expected);
                other
            }
            None => {
                let expected = format!(
                    "{} doesn't say which security protocol {name} has; add {name}:PLAINTEXT",
                    Protocols::KEY
                );
                reader.invalid(key, text, expected);
                SecurityProtocol::Plaintext
            }
        };
        if listeners.iter().any(|other| other.name == name) {
            reader.invalid(
                key,
                text,
                format!("the name {name} occurs twice; each listener needs its own"),
            );
        } else if key == "listeners" && listeners.iter().any(|other| collides(&other.endpoint, &endpoint)) {
            reader.invalid(
                key,
                text,
                format!("the port {} occurs twice; each listener needs its own", endpoint.port),
            );
        }
        listeners.push(Listener {
            name,
            endpoint,
            protocol,
        });
    }
    listeners
}

/// Two listeners may share a port only when one is IPv4 and the other IPv6 (KIP-797), or the system chooses it.
fn collides(one: &Endpoint, other: &Endpoint) -> bool {
    let is_v6 = |endpoint: &Endpoint| endpoint.host.contains(':');
    one.port == other.port && one.port != 0 && is_v6(one) == is_v6(other)
}
