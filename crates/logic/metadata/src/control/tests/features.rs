//! Levels of features.

use types::ErrorCode;

use super::cluster::Cluster;
use crate::features::{GROUP_VERSION, KAFKA_FEATURES, KafkaFeature};
use crate::image::MetadataImage;
use crate::proto::control_request::Request;
use crate::proto::{FeatureUpdate, UpdateFeaturesRequest, UpgradeType};

fn update(cluster: &mut Cluster, name: &str, level: i32, upgrade: UpgradeType) -> i32 {
    let update = FeatureUpdate {
        name: name.to_owned(),
        level,
        upgrade_type: upgrade.into(),
    };
    let request = UpdateFeaturesRequest {
        updates: vec![update],
        validate_only: false,
    };
    cluster.ask(Request::UpdateFeatures(request)).error_code
}

#[test]
fn a_level_goes_up_by_upgrades_and_down_by_downgrades_only() {
    let refused = i32::from(ErrorCode::InvalidUpdateVersion.code());
    let mut cluster = Cluster::with_brokers(1, 1);
    let group = KafkaFeature::named(GROUP_VERSION).unwrap();
    assert_eq!(cluster.image.finalized_level(GROUP_VERSION), None);
    assert_eq!(group.level(&cluster.image), 1);
    assert_eq!(update(&mut cluster, GROUP_VERSION, 0, UpgradeType::Upgrade), refused);
    assert_eq!(update(&mut cluster, GROUP_VERSION, 2, UpgradeType::Upgrade), refused);
    assert_eq!(
        update(&mut cluster, GROUP_VERSION, -1, UpgradeType::SafeDowngrade),
        refused
    );
    assert_eq!(update(&mut cluster, GROUP_VERSION, 0, UpgradeType::Unknown), refused);
    assert_eq!(update(&mut cluster, "share.version", 1, UpgradeType::Upgrade), refused);
    assert_eq!(group.level(&cluster.image), 1);
    assert_eq!(update(&mut cluster, GROUP_VERSION, 0, UpgradeType::SafeDowngrade), 0);
    assert_eq!(group.level(&cluster.image), 0);
    let again = MetadataImage::from_snapshot(cluster.image.offset(), cluster.image.to_records()).unwrap();
    assert_eq!(group.level(&again), 0);
    assert_eq!(
        update(&mut cluster, GROUP_VERSION, 1, UpgradeType::SafeDowngrade),
        refused
    );
    assert_eq!(update(&mut cluster, GROUP_VERSION, 1, UpgradeType::Upgrade), 0);
    assert_eq!(group.level(&cluster.image), 1);
}

#[test]
fn what_this_version_always_does_stays_at_its_level() {
    let refused = i32::from(ErrorCode::InvalidUpdateVersion.code());
    let mut cluster = Cluster::with_brokers(1, 1);
    for feature in KAFKA_FEATURES.iter().filter(|feature| !feature.settable) {
        let lower = i32::from(feature.max) - 1;
        assert_eq!(
            update(&mut cluster, feature.name, lower, UpgradeType::UnsafeDowngrade),
            refused,
            "{}",
            feature.name
        );
        let same = i32::from(feature.max);
        assert_eq!(update(&mut cluster, feature.name, same, UpgradeType::Upgrade), 0);
    }
}

#[test]
fn one_bad_update_leaves_all_as_they_were() {
    let mut cluster = Cluster::with_brokers(1, 1);
    let down = |name: &str| FeatureUpdate {
        name: name.to_owned(),
        level: 0,
        upgrade_type: UpgradeType::SafeDowngrade.into(),
    };
    let request = UpdateFeaturesRequest {
        updates: vec![down(GROUP_VERSION), down("metadata.version")],
        validate_only: false,
    };
    assert_ne!(cluster.ask(Request::UpdateFeatures(request)).error_code, 0);
    assert_eq!(cluster.image.finalized_level(GROUP_VERSION), None);
}
