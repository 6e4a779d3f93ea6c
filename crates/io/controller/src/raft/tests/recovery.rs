//! Restarts, power cuts, snapshots, full and failing disks.

use storage::RealFileSystem;
use storage::testing::Operation;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_single_node_keeps_its_records_through_restarts() {
    let mut cluster = Cluster::started(1).await;
    for round in 0..5 {
        let offset = cluster.write(&format!("r{round}")).await;
        assert_eq!(offset, MetadataOffset(round + 1));
        cluster.kill(1).await;
        cluster.start(1).await.unwrap();
    }
    cluster.write("last").await;
}

#[tokio::test(start_paused = true)]
async fn records_survive_a_power_cut_of_every_node() {
    for seed in 0..10 {
        let mut cluster = Cluster::started(3).await;
        for number in 0..10 {
            cluster.write(&format!("n{number}")).await;
        }
        for node in 1..=3 {
            cluster.power_cut(node, seed * 3 + u64::try_from(node).unwrap()).await;
        }
        for node in 1..=3 {
            cluster.start(node).await.unwrap();
        }
        let offset = cluster.write("after").await;
        assert_eq!(offset, MetadataOffset(11), "seed {seed}");
        cluster.agree(offset).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_learner_that_lacks_purged_entries_gets_a_snapshot() {
    let mut cluster = Cluster::new(3);
    cluster.change = |config| config.snapshot_entries = 20;
    for node in 1..=3 {
        cluster.start(node).await.unwrap();
    }
    let offset = cluster.write("a").await;
    cluster.agree(offset).await;
    let leader = cluster.active().await.status().leader.unwrap();
    let lagging = if leader.0 == 3 { 2 } else { 3 };
    cluster.kill(lagging).await;
    for number in 0..100 {
        cluster.write(&format!("n{number}")).await;
    }
    let active = cluster.active().await;
    eventually("a purged log", || (active.status().purged_index > 40).then_some(())).await;
    cluster.start(lagging).await.unwrap();
    cluster.agree(MetadataOffset(101)).await;
    assert!(cluster.node(lagging).batches_since(MetadataOffset(0)).is_none());
    // And once more, through its own snapshot and log.
    cluster.kill(lagging).await;
    cluster.start(lagging).await.unwrap();
    cluster.agree(MetadataOffset(101)).await;
    // A wiped one, too.
    cluster.kill(lagging).await;
    cluster.wipe(lagging);
    cluster.start(lagging).await.unwrap();
    cluster.agree(MetadataOffset(101)).await;
    cluster.write("z").await;
}

#[tokio::test(start_paused = true)]
async fn a_damaged_newest_snapshot_is_replaced_by_the_older_one_and_the_log() {
    let mut cluster = Cluster::new(1);
    cluster.change = |config| config.snapshot_entries = 20;
    cluster.start(1).await.unwrap();
    for number in 0..100 {
        cluster.write(&format!("n{number}")).await;
    }
    cluster.kill(1).await;
    let disk = cluster.disks[&1].clone();
    let directory = PathBuf::from("/metadata");
    let snapshots: Vec<String> = storage::FileSystem::read_dir(&disk, &directory)
        .unwrap()
        .into_iter()
        .filter(|name| name.ends_with(".snapshot"))
        .collect();
    assert_eq!(snapshots.len(), 2);
    let newest = directory.join(snapshots.last().unwrap());
    let file = storage::FileSystem::open(&disk, &newest, storage::OpenMode::READ_WRITE).unwrap();
    file.write_all_at(&[0xff], 40).unwrap();
    cluster.start(1).await.unwrap();
    assert_eq!(cluster.write("z").await, MetadataOffset(101));
}

#[tokio::test(start_paused = true)]
async fn a_failed_sync_is_fatal_and_nothing_is_answered() {
    let cluster = Cluster::started(1).await;
    cluster.write("a").await;
    let quorum = cluster.node(1);
    let term = quorum.leadership().borrow().term;
    cluster.disks[&1].fail(Operation::SyncData, ".raft", std::io::ErrorKind::Other);
    let written = quorum.write(term, MetadataOffset(1), &[feature("b", 1)]).await;
    assert!(written.is_err(), "{written:?}");
    let fatal = quorum.fatal().await;
    assert!(fatal.to_string().contains("/metadata"), "{fatal}");
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_disk_call_loses_nothing_acknowledged() {
    for stop in 1..60 {
        let mut cluster = Cluster::new(1);
        cluster.change = |config| {
            config.snapshot_entries = 8;
            config.segment_bytes = 300;
        };
        cluster.start(1).await.unwrap();
        cluster.write("first").await;
        let quorum = cluster.node(1);
        let term = quorum.leadership().borrow().term;
        cluster.disks[&1].stop_after(stop);
        let mut acknowledged = MetadataOffset(1);
        for number in 0..20 {
            match quorum
                .write(term, acknowledged, &[feature(&format!("n{number}"), 1)])
                .await
            {
                Ok(offset) => acknowledged = offset,
                Err(_) => break,
            }
        }
        cluster.power_cut(1, stop).await;
        cluster
            .start(1)
            .await
            .unwrap_or_else(|error| panic!("stopped after {stop} calls: {error}"));
        let offset = cluster.write("after").await;
        assert!(
            offset > acknowledged,
            "stopped after {stop} calls: {offset} after {acknowledged}"
        );
    }
}

#[tokio::test]
async fn on_a_real_disk_with_its_own_threads_the_image_comes_from_the_cache() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Arc::new(Hub::default());
    let start = || {
        let config = QuorumConfig::new(BrokerId(1), "test", 9001, directory.path().join("metadata"));
        let transport = Arc::new(Link {
            hub: Arc::clone(&hub),
            from: 9001,
        });
        MetadataQuorum::start(config, Arc::new(RealFileSystem), transport)
    };
    let cache = directory.path().join("metadata").join("image-cache");
    let mut offset = MetadataOffset(0);
    for round in 0..3 {
        let quorum = start().await.unwrap();
        let mut leadership = quorum.leadership();
        let term = leadership.wait_for(|leadership| leadership.active).await.unwrap().term;
        assert_eq!(quorum.images().borrow().offset, offset, "round {round}");
        // From the cache, not from the log: nothing was replayed.
        assert_eq!(quorum.batches_since(MetadataOffset(0)).is_none(), round > 0);
        for number in 0..50 {
            offset = quorum
                .write(term, offset, &[feature(&format!("r{round}-{number}"), 1)])
                .await
                .unwrap();
        }
        quorum.shutdown().await;
        assert!(cache.exists());
    }
    // Without the cache, the same from the log.
    std::fs::remove_dir_all(&cache).unwrap();
    let quorum = start().await.unwrap();
    quorum
        .leadership()
        .wait_for(|leadership| leadership.active)
        .await
        .unwrap();
    assert_eq!(quorum.images().borrow().offset, offset);
    quorum.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_with_threads_of_their_own_survive_the_loss_of_the_leader() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Arc::new(Hub::default());
    for node in 1..=3 {
        let path = directory.path().join(format!("node-{node}"));
        let mut config = QuorumConfig::new(BrokerId(node), "test", port(node), path);
        config.voters = (1..=3).map(address).collect();
        config.snapshot_entries = 50;
        let transport = Arc::new(Link {
            hub: Arc::clone(&hub),
            from: port(node),
        });
        let quorum = MetadataQuorum::start(config, Arc::new(RealFileSystem), transport)
            .await
            .unwrap();
        hub.listening.lock().insert(port(node), quorum);
    }
    let cluster = Cluster {
        hub,
        voters: Vec::new(),
        disks: BTreeMap::new(),
        starts: 0,
        change: |_| {},
    };
    for number in 0..100 {
        cluster.write(&format!("before-{number}")).await;
    }
    let leader = cluster.active().await.leadership().borrow().leader.clone().unwrap().1;
    let killed = cluster.hub.listening.lock().remove(&leader.port).unwrap();
    killed.kill().await;
    let mut offset = MetadataOffset(0);
    for number in 0..100 {
        offset = cluster.write(&format!("after-{number}")).await;
    }
    assert!(offset >= MetadataOffset(200));
    cluster.agree(offset).await;
    for quorum in cluster.running() {
        quorum.shutdown().await;
    }
}
