//! DescribeClientQuotas (48, KIP-546): the limits whose entities a filter lets through.

use std::collections::BTreeSet;
use std::sync::Arc;

use metadata::{CLIENT_ID, IP, MetadataImage, QuotaEntity, USER};
use types::ErrorCode;
use wire::messages::describe_client_quotas_request::ComponentData;
use wire::messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use wire::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

use super::controller_call::Refused;
use super::exchange::{Handled, decode, respond, text};
use crate::context::{ApiRequest, BrokerContext};

const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: DescribeClientQuotasRequest = decode(&header, request.body)?;
    let response = match entries(&broker.host.image.load(), &body) {
        Ok(entries) => DescribeClientQuotasResponse::default()
            .with_error_message(None)
            .with_entries(Some(entries)),
        Err(refused) => DescribeClientQuotasResponse::default()
            .with_error_code(refused.code.code())
            .with_error_message(refused.text())
            .with_entries(None),
    };
    respond(&header, &response)
}

fn entries(image: &MetadataImage, body: &DescribeClientQuotasRequest) -> Result<Vec<EntryData>, Refused> {
    check(&body.components)?;
    let wanted = image
        .client_quotas()
        .filter(|(entity, _)| is_wanted(entity, &body.components, body.strict));
    let entries = wanted.map(|(entity, limits)| {
        let parts = entity.parts().map(|(kind, name)| {
            EntityData::default()
                .with_entity_type(text(kind))
                .with_entity_name(name.map(text))
        });
        let values = limits
            .iter()
            .map(|(key, value)| ValueData::default().with_key(text(key)).with_value(value.get()));
        EntryData::default()
            .with_entity(parts.collect())
            .with_values(values.collect())
    });
    Ok(entries.collect())
}

/// Kafka's rules for filters.
fn check(components: &[ComponentData]) -> Result<(), Refused> {
    let invalid = |message: String| Err(Refused::new(ErrorCode::InvalidRequest, message));
    let mut kinds = BTreeSet::new();
    for component in components {
        let kind = component.entity_type.as_str();
        if kind.is_empty() {
            return invalid("Invalid empty entity type.".to_owned());
        }
        if ![USER, CLIENT_ID, IP].contains(&kind) {
            let message = format!("Unsupported entity type {kind}");
            return Err(Refused::new(ErrorCode::UnsupportedVersion, message));
        }
        if !kinds.insert(kind) {
            return invalid(format!(
                "Entity type {kind} cannot appear more than once in the filter."
            ));
        }
        match (component.match_type, &component._match) {
            (EXACT, Some(_)) | (DEFAULT | ANY, None) => {}
            (EXACT, None) => {
                return invalid("Request specified MATCH_TYPE_EXACT, but set match string to null.".to_owned());
            }
            (DEFAULT | ANY, Some(_)) => {
                return invalid("Request specified a match type that needs no match string, but set one.".to_owned());
            }
            (unknown, _) => return invalid(format!("Unknown match type {unknown}")),
        }
    }
    if kinds.contains(IP) && kinds.len() > 1 {
        return invalid("Invalid entity filter component combination.".to_owned());
    }
    Ok(())
}

/// Every component must match a part; with `strict` there may be no other part.
fn is_wanted(entity: &QuotaEntity, components: &[ComponentData], strict: bool) -> bool {
    let all = components.iter().all(|component| {
        let mut parts = entity.parts();
        parts.any(|(kind, name)| {
            kind == component.entity_type.as_str()
                && match component.match_type {
                    EXACT => name.is_some() && name == component._match.as_deref().map(AsRef::as_ref),
                    DEFAULT => name.is_none(),
                    _ => true,
                }
        })
    });
    all && (!strict || entity.parts().count() == components.len())
}

#[cfg(test)]
mod tests {
    use metadata::proto::QuotaEntityPart;

    use super::*;

    fn component(kind: &str, match_type: i8, name: Option<&str>) -> ComponentData {
        ComponentData::default()
            .with_entity_type(text(kind))
            .with_match_type(match_type)
            .with_match(name.map(text))
    }

    fn entity(parts: &[(&str, Option<&str>)]) -> QuotaEntity {
        let parts: Vec<QuotaEntityPart> = parts
            .iter()
            .map(|(kind, name)| QuotaEntityPart {
                kind: (*kind).to_owned(),
                name: name.map(str::to_owned),
            })
            .collect();
        QuotaEntity::from_parts(&parts).unwrap()
    }

    #[test]
    fn a_filter_lets_through_what_it_names() {
        let both = entity(&[(USER, Some("ann")), (CLIENT_ID, None)]);
        let ann = component(USER, EXACT, Some("ann"));
        let any = component(USER, ANY, None);
        let default = component(CLIENT_ID, DEFAULT, None);
        assert!(is_wanted(&both, &[], false) && !is_wanted(&both, &[], true));
        assert!(is_wanted(&both, std::slice::from_ref(&ann), false));
        assert!(!is_wanted(&both, std::slice::from_ref(&ann), true));
        assert!(is_wanted(&both, &[any, default.clone()], true));
        assert!(!is_wanted(&both, &[component(USER, DEFAULT, None)], false));
        assert!(!is_wanted(&entity(&[(USER, None)]), &[ann, default], false));
    }

    #[test]
    fn filters_that_make_no_sense_are_refused() {
        let code = |components: &[ComponentData]| check(components).map_err(|refused| refused.code);
        let invalid = Err(ErrorCode::InvalidRequest);
        assert_eq!(code(&[component(USER, ANY, None), component(IP, ANY, None)]), invalid);
        assert_eq!(code(&[component(USER, ANY, None), component(USER, ANY, None)]), invalid);
        assert_eq!(code(&[component(USER, EXACT, None)]), invalid);
        assert_eq!(code(&[component(USER, ANY, Some("ann"))]), invalid);
        assert_eq!(code(&[component(USER, 7, None)]), invalid);
        assert_eq!(code(&[component("", ANY, None)]), invalid);
        assert_eq!(
            code(&[component("shoe", ANY, None)]),
            Err(ErrorCode::UnsupportedVersion)
        );
        assert_eq!(code(&[component(IP, DEFAULT, None)]), Ok(()));
    }
}
