//! AlterClientQuotas (49, KIP-546): limits of users, client ids and addresses.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use metadata::proto::{ClientQuotaChange, ClientQuotaOperation, QuotaEntityPart};
use metadata::{IP, proto};
use types::ErrorCode;
use wire::messages::alter_client_quotas_request::EntryData as AlteredEntry;
use wire::messages::alter_client_quotas_response::{EntityData, EntryData};
use wire::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse};

use super::controller_call::{DEFAULT_TIMEOUT_MS, Refused, ask_controller, error_code, mismatched};
use super::exchange::{Handled, decode, respond};
use crate::context::{ApiRequest, BrokerContext};

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: AlterClientQuotasRequest = decode(&header, request.body)?;
    let checked: Vec<Result<ClientQuotaChange, Refused>> = body.entries.iter().map(change).collect();
    let sent: Vec<ClientQuotaChange> = checked
        .iter()
        .filter_map(|change| change.as_ref().ok())
        .cloned()
        .collect();
    let mut decided = decide(&broker, sent, body.validate_only).await.into_iter();
    let outcomes = checked.into_iter().map(|checked| match checked {
        Ok(_) => decided.next().unwrap_or_else(|| Err(mismatched())),
        Err(refused) => Err(refused),
    });
    let entries = body.entries.into_iter().zip(outcomes).map(|(entry, outcome)| {
        let entity = entry.entity.into_iter().map(|part| {
            EntityData::default()
                .with_entity_type(part.entity_type)
                .with_entity_name(part.entity_name)
        });
        let answer = EntryData::default().with_entity(entity.collect());
        match outcome {
            Ok(()) => answer.with_error_message(None),
            Err(refused) => answer
                .with_error_code(refused.code.code())
                .with_error_message(refused.text()),
        }
    });
    // One answer an entity, the last one: that of a second entry says that it was one.
    let mut told: Vec<EntryData> = Vec::new();
    let mut places = HashMap::new();
    for answer in entries {
        let parts = answer.entity.iter();
        let entity: Vec<_> = parts
            .map(|part| (part.entity_type.clone(), part.entity_name.clone()))
            .collect();
        let place = *places.entry(entity).or_insert(told.len());
        match told.get_mut(place) {
            Some(earlier) => *earlier = answer,
            None => told.push(answer),
        }
    }
    respond(&header, &AlterClientQuotasResponse::default().with_entries(told))
}

/// What the controller decides on. Whether an address is one is seen here.
fn change(entry: &AlteredEntry) -> Result<ClientQuotaChange, Refused> {
    for part in &entry.entity {
        let name = part.entity_name.as_deref().filter(|_| part.entity_type.as_str() == IP);
        if let Some(name) = name
            && name.parse::<IpAddr>().is_err()
        {
            let message = format!("{name} is not a valid IP or resolvable host.");
            return Err(Refused::new(ErrorCode::InvalidRequest, message));
        }
    }
    let entity = entry.entity.iter().map(|part| QuotaEntityPart {
        kind: part.entity_type.to_string(),
        name: part.entity_name.as_ref().map(ToString::to_string),
    });
    let operations = entry.ops.iter().map(|operation| ClientQuotaOperation {
        key: operation.key.to_string(),
        value: (!operation.remove).then_some(operation.value),
    });
    Ok(ClientQuotaChange {
        entity: entity.collect(),
        operations: operations.collect(),
    })
}

/// One outcome an entry, in their order.
async fn decide(
    broker: &BrokerContext,
    entries: Vec<ClientQuotaChange>,
    validate_only: bool,
) -> Vec<Result<(), Refused>> {
    let count = entries.len();
    if count == 0 {
        return Vec::new();
    }
    let asked = proto::AlterClientQuotasRequest { entries, validate_only };
    match ask_controller(broker, Request::AlterClientQuotas(asked), DEFAULT_TIMEOUT_MS).await {
        Ok(Response::AlterClientQuotas(answer)) if answer.entries.len() == count => {
            let outcomes = answer
                .entries
                .into_iter()
                .map(|entry| match error_code(entry.error_code) {
                    ErrorCode::None => Ok(()),
                    code => Err(Refused::new(code, entry.error_message)),
                });
            outcomes.collect()
        }
        Ok(_) => vec![Err(mismatched()); count],
        Err(refused) => vec![Err(refused); count],
    }
}
