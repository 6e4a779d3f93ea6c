use super::*;
use crate::environment::properties_from_environment;
use crate::listeners::{Listener, SecurityProtocol};

/// What the benchmark's script writes for a node of Apache Kafka.
const PASTED: &str = "\
process.roles=broker,controller
node.id=2
controller.quorum.voters=1@127.0.0.1:19093,2@127.0.0.1:29093,3@127.0.0.1:39093
listeners=PLAINTEXT://127.0.0.1:29092,CONTROLLER://127.0.0.1:29093
advertised.listeners=PLAINTEXT://127.0.0.1:29092
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=/tmp/data/2
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
";

fn read(text: &str) -> Result<(ServerConfig, Vec<Warning>), ConfigErrors> {
    ServerConfig::from_properties(&Properties::parse(text))
}

/// The pasted file with other lines below it, which win.
fn with(lines: &str) -> Result<(ServerConfig, Vec<Warning>), ConfigErrors> {
    read(&format!("{PASTED}{lines}"))
}

fn errors(lines: &str) -> String {
    with(lines).unwrap_err().to_string()
}

fn endpoint(text: &str) -> Endpoint {
    Endpoint::parse(text).unwrap()
}

#[test]
fn a_file_written_for_apache_kafka_is_taken_as_it_is() {
    let (config, warnings) = read(PASTED).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.node_id, BrokerId(2));
    assert_eq!(
        config.roles,
        ProcessRoles {
            broker: true,
            controller: true
        }
    );
    assert_eq!(config.quorum.voters.len(), 3);
    assert_eq!(config.quorum.voters[2].to_string(), "3@127.0.0.1:39093");
    let plain = |name: &str, address: &str| Listener {
        name: name.to_owned(),
        endpoint: endpoint(address),
        protocol: SecurityProtocol::Plaintext,
    };
    assert_eq!(config.listeners.broker, [plain("PLAINTEXT", "127.0.0.1:29092")]);
    assert_eq!(config.listeners.controller, [plain("CONTROLLER", "127.0.0.1:29093")]);
    assert_eq!(config.listeners.advertised, config.listeners.broker);
    assert_eq!(config.listeners.inter_broker, "PLAINTEXT");
    assert_eq!(config.log_dirs, [PathBuf::from("/tmp/data/2")]);
    assert_eq!(config.metadata_log_dir, PathBuf::from("/tmp/data/2"));
    assert_eq!(config.topics.default_replication_factor, 3);
    assert_eq!(config.defaults.topic_value("min.insync.replicas").as_deref(), Some("2"));
    assert_eq!(config.groups.offsets_topic_num_partitions, 50);
    assert_eq!(config.sessions.heartbeat_interval, Duration::from_millis(250));
    assert_eq!(config.sessions.session_timeout, Duration::from_secs(2));
    assert_eq!(config.http_listener, None);
    assert_eq!(config.network.socket_request_max_bytes, 104_857_600);
}

#[test]
fn the_lone_node_of_the_benchmark_is_taken_too() {
    let lone = PASTED.replace("node.id=2", "node.id=1").replace(
        "1@127.0.0.1:19093,2@127.0.0.1:29093,3@127.0.0.1:39093",
        "1@127.0.0.1:29093",
    );
    assert_eq!(read(&lone).unwrap().0.quorum.voters.len(), 1);
}

#[test]
fn the_canonical_containers_environment_is_taken() {
    let variables = [
        ("PATH", "/usr/bin"),
        ("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw"),
        ("KAFKA_HEAP_OPTS", "-Xmx1G"),
        ("KAFKA_NODE_ID", "1"),
        ("KAFKA_PROCESS_ROLES", "broker,controller"),
        (
            "KAFKA_CONTROLLER_QUORUM_VOTERS",
            "1@kafka-1:29093,2@kafka-2:29093,3@kafka-3:29093",
        ),
        (
            "KAFKA_LISTENERS",
            "PLAINTEXT://:19092,CONTROLLER://:29093,PLAINTEXT_HOST://:9092",
        ),
        (
            "KAFKA_ADVERTISED_LISTENERS",
            "PLAINTEXT://kafka-1:19092,PLAINTEXT_HOST://localhost:29092",
        ),
        (
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
        ),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "PLAINTEXT"),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "3"),
        ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "3"),
        ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "2"),
        ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
        ("KAFKA_LOG_DIRS", "/tmp/kraft-combined-logs"),
        ("KLAMM_HTTP_LISTENER", "0.0.0.0:9644"),
    ];
    let (config, warnings) = ServerConfig::from_properties(&properties_from_environment(variables)).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.cluster_id, Some(ClusterId("4L6g3nShT-eMCtK--X86sw".to_owned())));
    assert_eq!(config.listeners.broker.len(), 2);
    assert_eq!(
        config.listeners.advertised[1].to_string(),
        "PLAINTEXT_HOST://localhost:29092"
    );
    assert_eq!(config.groups.initial_rebalance_delay, Duration::ZERO);
    assert_eq!(config.http_listener, Some(endpoint("0.0.0.0:9644")));
}

#[test]
fn brokers_and_controllers_alone_are_taken() {
    let broker = with("process.roles=broker\nnode.id=4\nlisteners=PLAINTEXT://127.0.0.1:29092\n")
        .unwrap()
        .0;
    assert!(broker.listeners.controller.is_empty());
    let controller = "process.roles=controller\nlisteners=CONTROLLER://127.0.0.1:29093\n\
                      advertised.listeners=CONTROLLER://127.0.0.1:29093\n";
    let controller = with(controller).unwrap().0;
    assert!(controller.listeners.broker.is_empty() && controller.listeners.inter_broker.is_empty());
    assert_eq!(controller.listeners.advertised_controller.len(), 1);
}

#[test]
fn every_error_is_reported_at_once() {
    let report = read("node.id=x\nlisteners=nonsense\nnum.partitions=0\nlog.retention.ms=0").unwrap_err();
    let keys: Vec<&str> = report.0.iter().map(ConfigError::key).collect();
    for key in [
        "node.id",
        "listeners",
        "num.partitions",
        "log.retention.ms",
        "process.roles",
        "controller.listener.names",
        "controller.quorum.voters",
    ] {
        assert!(keys.contains(&key), "{key} in {keys:?}");
    }
    assert!(
        report
            .to_string()
            .contains("invalid value 0 for configuration num.partitions: must be at least 1")
    );
}

#[test]
fn roles_and_listeners_must_agree() {
    assert!(errors("listeners=PLAINTEXT://:29092").contains("must listen on one of controller.listener.names"));
    assert!(errors("process.roles=broker\nnode.id=9").contains("without the controller role"));
    assert!(errors("process.roles=controller").contains("without the broker role"));
    assert!(errors("listeners=CONTROLLER://:29093").contains("needs a listener that isn't among"));
    assert!(errors("process.roles=broker\nlisteners=PLAINTEXT://:1").contains("can't be listed"));
    assert!(errors("node.id=7").contains("its id, 7, must be listed"));
    assert!(errors("broker.id=3").contains("must be the same as node.id"));
}

#[test]
fn addresses_that_nobody_can_dial_are_refused() {
    let report = errors("advertised.listeners=PLAINTEXT://0.0.0.0:29092");
    assert!(report.contains("nobody can dial"), "{report}");
    let text = PASTED
        .replace("advertised.listeners=PLAINTEXT://127.0.0.1:29092\n", "")
        .replace("127.0.0.1:29092", "0.0.0.0:29092");
    assert!(read(&text).unwrap_err().to_string().contains("advertised.listeners"));
    assert!(errors("controller.quorum.voters=1@0.0.0.0:1,2@b:2").contains("can't be dialled"));
}

#[test]
fn what_is_not_served_yet_is_refused_clearly() {
    assert!(errors("listeners=SSL://:29092,CONTROLLER://:29093").contains("SSL isn't served yet"));
    assert!(
        errors("listener.security.protocol.map=PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT")
            .contains("SASL_SSL isn't served yet")
    );
    assert!(
        errors("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer")
            .contains("isn't served yet")
    );
}

#[test]
fn listener_names_need_a_protocol_and_are_unique() {
    assert!(errors("listeners=FOO://:1,CONTROLLER://:2,PLAINTEXT://:3").contains("add FOO:PLAINTEXT"));
    assert!(errors("listeners=PLAINTEXT://:1,PLAINTEXT://:3,CONTROLLER://:2").contains("PLAINTEXT occurs twice"));
    assert!(errors("listeners=PLAINTEXT://:1,CONTROLLER://:1").contains("port 1 occurs twice"));
    assert!(
        errors("inter.broker.listener.name=OTHER").contains("must be a listener in advertised.listeners (PLAINTEXT)")
    );
    assert!(errors("inter.broker.listener.name=CONTROLLER").contains("brokers don't serve"));
}

#[test]
fn a_heartbeat_is_at_most_an_eighth_of_the_session_and_a_quarter_of_a_second() {
    let interval = |lines: &str| {
        let (config, warnings) = with(lines).unwrap();
        let keys: Vec<_> = warnings.iter().map(|warning| warning.key().to_owned()).collect();
        (config.sessions.heartbeat_interval.as_millis(), keys)
    };
    let warned = || vec!["broker.heartbeat.interval.ms".to_owned()];
    assert_eq!(interval(""), (250, vec![]));
    assert_eq!(interval("broker.heartbeat.interval.ms=100"), (100, vec![]));
    assert_eq!(interval("broker.heartbeat.interval.ms=2000"), (250, warned()));
    assert_eq!(
        interval("broker.heartbeat.interval.ms=2000\nbroker.session.timeout.ms=9000"),
        (250, warned())
    );
    assert_eq!(interval("broker.session.timeout.ms=800"), (100, vec![]));
    assert_eq!(
        interval("broker.heartbeat.interval.ms=5\nbroker.session.timeout.ms=1"),
        (1, warned())
    );
}

#[test]
fn unknown_keys_are_warned_about_and_refused_when_strict() {
    let (_, warnings) = with("log.dirz=/x\nzookeeper.connect=z:2181\nrsm.config.chunk.size=1").unwrap();
    let texts: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert_eq!(
        texts[0],
        "unknown configuration log.dirz is ignored; did you mean log.dirs?"
    );
    assert!(texts[1].contains("removed"));
    let refused = refuse_unknown_keys(warnings).unwrap_err();
    assert_eq!(refused.0.len(), 1);
    assert_eq!(refuse_unknown_keys(Vec::new()), Ok(Vec::new()));
}

#[test]
fn a_loopback_address_in_a_cluster_of_machines_is_doubtful() {
    let lines = "controller.quorum.voters=1@a:1,2@b:1,3@c:1\nlisteners=PLAINTEXT://:29092,CONTROLLER://:29093\n\
                 advertised.listeners=PLAINTEXT://localhost:29092";
    assert_eq!(with(lines).unwrap().1[0].key(), "advertised.listeners");
}

#[test]
fn an_older_node_id_and_log_dir_serve() {
    let text = PASTED
        .replace("node.id=2", "broker.id=2")
        .replace("log.dirs=", "log.dir=");
    let (config, warnings) = read(&text).unwrap();
    assert_eq!((config.node_id, config.log_dirs.len()), (BrokerId(2), 1));
    assert_eq!(warnings, []);
}

#[test]
fn endpoints_are_read_and_written_with_brackets_for_v6() {
    for (text, host, port) in [("[::1]:9092", "::1", 9092), (":0", "", 0), ("a-b.c_d:1", "a-b.c_d", 1)] {
        let read = endpoint(text);
        assert_eq!((read.host.as_str(), read.port), (host, port));
        assert_eq!(read.to_string(), text);
    }
    for text in ["", "host", "host:", "host:99999", "host:-1", "[::1:1", "ho st:1"] {
        assert_eq!(Endpoint::parse(text), None, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn no_properties_make_it_panic(
        entries in proptest::collection::vec((proptest::sample::select(KEYS.to_vec()), "[ -~]{0,30}"), 0..12),
    ) {
        let _ = ServerConfig::from_properties(&entries.into_iter().collect());
    }
}

const KEYS: &[&str] = &[
    "process.roles",
    "node.id",
    "broker.id",
    "listeners",
    "advertised.listeners",
    "controller.listener.names",
    "controller.quorum.voters",
    "controller.quorum.bootstrap.servers",
    "listener.security.protocol.map",
    "log.dirs",
    "log.retention.ms",
    "broker.session.timeout.ms",
    "klamm.http.listener",
    "inter.broker.listener.name",
    "nonsense",
];
