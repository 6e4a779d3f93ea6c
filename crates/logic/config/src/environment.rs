//! `KAFKA_*` environment variables, as the official container images map them to keys.
//!
//! `KAFKA_` is dropped, the rest is lower-cased; `_` stands for `.`, `__` for `_`, `___` for `-`. `CLUSTER_ID` is bare.
//! The binary's shell passes the variables in: nothing here reads the process's environment.

use crate::properties::Properties;

/// Variables of the images' start scripts and of the JVM, which aren't configuration keys.
const IGNORED: &[&str] = &[
    "KAFKA_VERSION",
    "KAFKA_HEAP_OPTS",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_LOG4J_CMD_OPTS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_JMX_PORT",
    "KAFKA_JMX_OPTS",
    "KAFKA_OPTS",
    "KAFKA_DEBUG",
    "KAFKA_HOME",
    "KAFKA_CLASSPATH",
    "KAFKA_ZOOKEEPER_CONNECT",
];

const IGNORED_PREFIXES: &[&str] = &[
    "KAFKA_JVM_",
    "KAFKA_LOG4J_",
    "KAFKA_JMX_",
    "KAFKA_GC_",
    "KAFKA_ADVERTISED_HOST_NAME",
];

/// The keys that the environment sets. Variables that don't begin with `KAFKA_` are left alone but for `CLUSTER_ID`,
/// which becomes `cluster.id`, and `KLAMM_HTTP_LISTENER`, which becomes `klamm.http.listener`.
#[must_use]
pub fn properties_from_environment<I, K, V>(variables: I) -> Properties
where
    I: IntoIterator<Item = (K, V)>,
    K: AsRef<str>,
    V: Into<String>,
{
    variables
        .into_iter()
        .filter_map(|(name, value)| Some((key_of(name.as_ref())?, value.into())))
        .collect()
}

fn key_of(variable: &str) -> Option<String> {
    match variable {
        "CLUSTER_ID" => return Some("cluster.id".to_owned()),
        "KLAMM_HTTP_LISTENER" => return Some("klamm.http.listener".to_owned()),
        _ => {}
    }
    let name = variable.strip_prefix("KAFKA_").filter(|name| !name.is_empty())?;
    if IGNORED.contains(&variable) || IGNORED_PREFIXES.iter().any(|prefix| variable.starts_with(prefix)) {
        return None;
    }
    let mut key = String::with_capacity(name.len());
    let mut underscores = 0_usize;
    for letter in name.chars() {
        if letter == '_' {
            underscores += 1;
        } else {
            push_separators(&mut key, underscores);
            underscores = 0;
            key.push(letter.to_ascii_lowercase());
        }
    }
    push_separators(&mut key, underscores);
    Some(key)
}

/// Runs of underscores, three at a time first, as the images' scripts replace them.
fn push_separators(key: &mut String, underscores: usize) {
    for _ in 0..underscores / 3 {
        key.push('-');
    }
    match underscores % 3 {
        1 => key.push('.'),
        2 => key.push('_'),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_stand_for_dots_underscores_and_dashes() {
        assert_eq!(key_of("KAFKA_LOG_DIRS").as_deref(), Some("log.dirs"));
        assert_eq!(key_of("KAFKA_A__B___C_D").as_deref(), Some("a_b-c.d"));
        assert_eq!(key_of("CLUSTER_ID").as_deref(), Some("cluster.id"));
    }

    #[test]
    fn variables_of_the_jvm_and_of_others_are_no_keys() {
        for name in [
            "KAFKA_HEAP_OPTS",
            "KAFKA_LOG4J_LOGGERS",
            "KAFKA_JVM_PERFORMANCE_OPTS",
            "PATH",
            "KAFKA_",
            "HOME",
        ] {
            assert_eq!(key_of(name), None, "{name}");
        }
    }
}
