# Sourced by tools-side-by-side.sh: kafka-groups, kafka-metadata-quorum, kafka-features, kafka-cluster, kafka-broker-api-versions.

list_all_groups() {
  "$KLAMM_BIN" group reset-offsets -b "$BOOTSTRAP" "$one-for-the-list" --topic "$one" --to-latest --execute >/dev/null &&
    same --sorted $tools.GroupsCommand kafka-groups "${at[@]}" --list && wrote "^$one-for-the-list " &&
    same --sorted $tools.GroupsCommand kafka-groups "${at[@]}" --list --consumer && same $tools.GroupsCommand kafka-groups "${at[@]}" --list --share &&
    same --sorted $tools.GroupsCommand kafka-groups "${at[@]}" --list --group-type classic &&
    same $tools.GroupsCommand kafka-groups "${at[@]}" && same $tools.GroupsCommand kafka-groups "${at[@]}" --list --group-type nonsense
}
quorum_status() {
  same --quorum $tools.MetadataQuorumCommand kafka-metadata-quorum "${at[@]}" describe --status && wrote '^CurrentVoters: +\[\{"id": 1, "directoryId": "' &&
    same $tools.MetadataQuorumCommand kafka-metadata-quorum "${at[@]}" describe
}
quorum_replication() {
  same --quorum $tools.MetadataQuorumCommand kafka-metadata-quorum "${at[@]}" describe --replication && wrote 'Leader' &&
    same --quorum $tools.MetadataQuorumCommand kafka-metadata-quorum "${at[@]}" describe --replication --human-readable
}
features() { same --features $tools.FeatureCommand kafka-features "${at[@]}" describe && wrote '^Feature: metadata.version'; }
update_features() {
  same $tools.FeatureCommand kafka-features "${at[@]}" upgrade --feature group.version=1 --dry-run &&
    same $tools.FeatureCommand kafka-features "${at[@]}" upgrade --feature group.version=99 && wrote '^Could not upgrade group.version to 99' &&
    same $tools.FeatureCommand kafka-features "${at[@]}" upgrade --feature group.version && same $tools.FeatureCommand kafka-features "${at[@]}" upgrade
}
cluster_tool() {
  same $tools.ClusterTool kafka-cluster cluster-id "${at[@]}" && wrote '^Cluster ID: ' &&
    same --sorted $tools.ClusterTool kafka-cluster list-endpoints "${at[@]}" && wrote 'unfenced' &&
    same --sorted $tools.ClusterTool kafka-cluster list-endpoints -b "$BOOTSTRAP" --include-fenced-brokers && same $tools.ClusterTool kafka-cluster nonsense
}
api_versions() {
  same --sorted $tools.BrokerApiVersionsCommand kafka-broker-api-versions "${at[@]}" && wrote 'Fetch\(1\): 4 to 1[0-9] \[usable: '
}

check 'kafka-groups' list_all_groups
check 'kafka-metadata-quorum describe --status' quorum_status
check 'kafka-metadata-quorum describe --replication' quorum_replication
check 'kafka-features describe' features
check 'kafka-features upgrade' update_features
check 'kafka-cluster' cluster_tool
check 'kafka-broker-api-versions' api_versions
