//! Changes of the levels of Kafka's features (KIP-584), all of a request or none.

use std::collections::BTreeSet;

use types::ErrorCode;

use super::{Decision, Refusal};
use crate::features::{KAFKA_FEATURES, KafkaFeature};
use crate::image::MetadataImage;
use crate::proto::{FeatureLevel, FeatureUpdate, UpdateFeaturesRequest, UpdateFeaturesResponse, UpgradeType};

/// Decides on new levels. With `validate_only` the answer is the same, without records.
///
/// # Errors
/// `INVALID_UPDATE_VERSION` with the first update that can't be.
pub fn update_features(
    image: &MetadataImage,
    request: &UpdateFeaturesRequest,
) -> Result<Decision<UpdateFeaturesResponse>, Refusal> {
    let mut records = Vec::new();
    let mut names = BTreeSet::new();
    for update in &request.updates {
        if !names.insert(update.name.as_str()) {
            let message = format!("The feature {} is named twice.", update.name);
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
        let (feature, level) = checked(image, update).map_err(|why| {
            let FeatureUpdate { name, level, .. } = update;
            Refusal::new(
                ErrorCode::InvalidUpdateVersion,
                format!("Invalid update version {level} for feature {name}. {why}"),
            )
        })?;
        if feature.level(image) != level {
            let name = feature.name.to_owned();
            let level = level.into();
            records.push(FeatureLevel { name, level }.into());
        }
    }
    if request.validate_only {
        records.clear();
    }
    Ok(Decision {
        records,
        response: UpdateFeaturesResponse {},
    })
}

fn checked(image: &MetadataImage, update: &FeatureUpdate) -> Result<(&'static KafkaFeature, u16), String> {
    let upgrade = UpgradeType::try_from(update.upgrade_type)
        .ok()
        .filter(|kind| *kind != UpgradeType::Unknown)
        .ok_or("The controller does not support the given upgrade type.")?;
    let feature = KafkaFeature::named(&update.name).ok_or_else(|| {
        let names: Vec<&str> = KAFKA_FEATURES.iter().map(|feature| feature.name).collect();
        format!(
            "The controllers do not support this feature; they know {}.",
            names.join(", ")
        )
    })?;
    let level = u16::try_from(update.level)
        .ok()
        .filter(|level| (feature.min..=feature.max).contains(level))
        .ok_or_else(|| {
            let KafkaFeature { min, max, .. } = feature;
            format!("The controllers only support versions {min}-{max}")
        })?;
    let current = feature.level(image);
    if level < current && upgrade == UpgradeType::Upgrade {
        return Err(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade."
                .to_owned(),
        );
    }
    if level > current && upgrade != UpgradeType::Upgrade {
        return Err("Can't downgrade to a newer version.".to_owned());
    }
    if level != current && !feature.settable {
        return Err(format!("This version works at level {current} only."));
    }
    Ok((feature, level))
}
