//! Which quota holds for a client.

use metadata::{EntityName, MetadataImage, QuotaEntity};

/// The user of every client, while there is no authentication.
pub const ANONYMOUS: &str = "ANONYMOUS";

/// A quota that holds, and who shares it.
#[derive(Debug, Clone, PartialEq)]
pub struct Applicable {
    /// The limit, in the key's unit.
    pub limit: f64,
    /// Whose use counts: a user, a client id, or both. Clients with the same entry share the limit.
    pub shared_by: (Option<String>, Option<String>),
}

/// The quota of `key` for this user and client id; `None` where nothing limits it. Kafka's order: what names the user goes before what
/// names the client id, what is named before defaults. Of a client without an id only its user counts.
#[must_use]
pub fn applicable(image: &MetadataImage, key: &str, user: &str, client_id: &str) -> Option<Applicable> {
    let named = |name: &str| Some(EntityName::Named(name.to_owned()));
    let default = || Some(EntityName::Default);
    let (user_name, client_name) = (|| named(user), || named(client_id));
    let candidates = [
        (user_name(), client_name()),
        (user_name(), default()),
        (user_name(), None),
        (default(), client_name()),
        (default(), default()),
        (default(), None),
        (None, client_name()),
        (None, default()),
    ];
    let has_id = !client_id.is_empty();
    let of_this_client = candidates
        .into_iter()
        .filter(|(_, client_part)| has_id || client_part.is_none());
    of_this_client.into_iter().find_map(|(user_part, client_part)| {
        let shared_by = (
            user_part.is_some().then(|| user.to_owned()),
            client_part.is_some().then(|| client_id.to_owned()),
        );
        let entity = QuotaEntity {
            user: user_part,
            client_id: client_part,
            ip: None,
        };
        let limit = image.client_quota(&entity)?.get(key)?.get();
        Some(Applicable { limit, shared_by })
    })
}

#[cfg(test)]
mod tests {
    use metadata::proto::{ClientQuota, QuotaEntityPart};

    use super::*;

    const KEY: &str = "producer_byte_rate";

    type Parts<'a> = &'a [(&'a str, Option<&'a str>)];

    fn image(quotas: &[(Parts<'_>, f64)]) -> MetadataImage {
        let mut image = MetadataImage::new();
        for (entity, limit) in quotas {
            let parts = entity.iter().map(|(kind, name)| QuotaEntityPart {
                kind: (*kind).to_owned(),
                name: name.map(str::to_owned),
            });
            let record = ClientQuota {
                entity: parts.collect(),
                key: KEY.to_owned(),
                value: Some(*limit),
            };
            image.replay(&record.into()).unwrap();
        }
        image
    }

    #[test]
    fn the_more_specific_quota_holds() {
        let image = image(&[
            (&[("user", Some("ann")), ("client-id", Some("app"))], 1.0),
            (&[("user", Some("ann")), ("client-id", None)], 2.0),
            (&[("user", Some("ann"))], 3.0),
            (&[("user", None), ("client-id", Some("app"))], 4.0),
            (&[("user", None), ("client-id", None)], 5.0),
            (&[("user", None)], 6.0),
            (&[("client-id", Some("app"))], 7.0),
            (&[("client-id", None)], 8.0),
        ]);
        let limit = |user, client| applicable(&image, KEY, user, client).unwrap().limit.to_string();
        assert_eq!(limit("ann", "app"), "1");
        assert_eq!(limit("ann", "other"), "2");
        assert_eq!(limit("bob", "app"), "4");
        assert_eq!(limit("bob", "other"), "5");
        assert!(applicable(&image, "consumer_byte_rate", "ann", "app").is_none());
    }

    #[test]
    fn clients_share_what_names_only_their_user() {
        let by_user = image(&[(&[("user", None)], 6.0)]);
        let found = applicable(&by_user, KEY, "ann", "app").unwrap();
        assert_eq!(found.shared_by, (Some("ann".to_owned()), None));
        let by_client = image(&[(&[("client-id", None)], 8.0)]);
        let found = applicable(&by_client, KEY, "ann", "app").unwrap();
        assert_eq!(found.shared_by, (None, Some("app".to_owned())));
    }
}
