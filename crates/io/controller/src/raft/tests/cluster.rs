//! Elections, writes and members.

use super::*;

#[tokio::test(start_paused = true)]
async fn three_blank_nodes_found_one_cluster_and_agree() {
    let cluster = Cluster::started(3).await;
    let offset = cluster.write("a").await;
    assert_eq!(offset, MetadataOffset(1));
    cluster.agree(offset).await;
    let ids: BTreeSet<_> = cluster
        .running()
        .iter()
        .map(|quorum| quorum.cluster_id().borrow().clone())
        .collect();
    assert_eq!(ids.len(), 1);
    assert!(ids.iter().all(Option::is_some));
    let status = cluster.active().await.status();
    assert_eq!(status.voters.len(), 3);
    assert!(
        status
            .voters
            .iter()
            .all(|voter| voter.matched_index.is_some() && voter.last_contact.is_some())
    );
}

#[tokio::test(start_paused = true)]
async fn no_cluster_is_founded_while_a_listed_voter_cannot_be_asked() {
    let mut cluster = Cluster::new(3);
    cluster.start(1).await.unwrap();
    cluster.start(2).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(
        cluster
            .running()
            .iter()
            .all(|quorum| quorum.leadership().borrow().leader.is_none())
    );
    assert!(
        cluster
            .running()
            .iter()
            .all(|quorum| quorum.cluster_id().borrow().is_none())
    );
    cluster.start(3).await.unwrap();
    cluster.write("a").await;
}

#[tokio::test(start_paused = true)]
async fn writes_go_on_after_the_leader_is_killed_and_at_once() {
    let mut cluster = Cluster::started(3).await;
    let offset = cluster.write("a").await;
    cluster.agree(offset).await;
    for round in 0..5 {
        let leader = cluster.active().await.leadership().borrow().leader.clone().unwrap().0;
        cluster.kill(leader.0).await;
        let killed = tokio::time::Instant::now();
        let offset = cluster.write(&format!("round-{round}")).await;
        // Without the fast election the lease alone is a second.
        assert!(
            killed.elapsed() < Duration::from_millis(700),
            "took {:?}",
            killed.elapsed()
        );
        cluster.start(leader.0).await.unwrap();
        cluster.agree(offset).await;
    }
    assert_eq!(cluster.running().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_silent_leader_is_replaced_by_the_timeout_and_cannot_write_any_more() {
    let cluster = Cluster::started(3).await;
    cluster.write("a").await;
    let old = cluster.active().await;
    let (leader, address) = old.leadership().borrow().leader.clone().unwrap();
    let term = old.leadership().borrow().term;
    let offset = old.images().borrow().offset;
    cluster.hub.silent.lock().insert(address.port);
    let records = [feature("lost", 1)];
    let (lost, ()) = tokio::join!(old.write(term, offset, &records), async {
        cluster.write("b").await;
    });
    assert_eq!(lost, Err(WriteError::Unknown), "node {leader}");
    assert!(!old.leadership().borrow().active);
    assert_eq!(old.read_barrier().await, Err(ReadError::NotLeader));
    cluster.hub.silent.lock().clear();
    cluster.agree(MetadataOffset(2)).await;
    assert_eq!(
        old.write(term, MetadataOffset(2), &[feature("late", 1)]).await,
        Err(WriteError::NotLeader)
    );
}

/// It may believe for longer that it is active: what hangs on that is refused by the majority.
#[tokio::test(start_paused = true)]
async fn a_leader_parted_from_its_majority_is_not_undisputed_when_another_is_active() {
    for _ in 0..5 {
        let cluster = Cluster::started(3).await;
        cluster.write("a").await;
        let old = cluster.active().await;
        let lease = old.undisputed_for();
        assert!(lease > Duration::from_millis(500), "{lease:?}");
        let port = old.leadership().borrow().leader.clone().unwrap().1.port;
        cluster.hub.silent.lock().insert(port);
        let others: Vec<_> = cluster
            .running()
            .into_iter()
            .filter(|quorum| quorum.node_id() != old.node_id())
            .collect();
        let mut disputed = false;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while !others.iter().any(|other| other.leadership().borrow().active) {
            disputed |= old.leadership().borrow().active && old.undisputed_for().is_zero();
            assert!(tokio::time::Instant::now() < deadline, "nobody else is active in time");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(old.undisputed_for(), Duration::ZERO);
        assert!(
            disputed || old.leadership().borrow().active,
            "the lease ends before it knows that it is deposed"
        );
        assert!(
            others
                .iter()
                .all(|other| other.undisputed_for().is_zero() || other.leadership().borrow().active)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_decided_on_another_offset_is_refused() {
    let cluster = Cluster::started(1).await;
    cluster.write("a").await;
    let quorum = cluster.node(1);
    let term = quorum.leadership().borrow().term;
    let refused = quorum.write(term, MetadataOffset(0), &[feature("b", 1)]).await;
    assert_eq!(
        refused,
        Err(WriteError::Refused {
            decided_on: MetadataOffset(0),
            actual: MetadataOffset(1)
        })
    );
    let empty = MetadataRecord { record: None };
    assert!(matches!(
        quorum.write(term, MetadataOffset(1), &[empty]).await,
        Err(WriteError::Invalid(_))
    ));
    // Two at once decided on one offset: one is applied, the other refused when its turn comes.
    let first = [feature("c", 1)];
    let second = [feature("d", 1)];
    let (first, second) = tokio::join!(
        quorum.write(term, MetadataOffset(1), &first),
        quorum.write(term, MetadataOffset(1), &second)
    );
    assert_eq!(first, Ok(MetadataOffset(2)));
    assert_eq!(
        second,
        Err(WriteError::Refused {
            decided_on: MetadataOffset(1),
            actual: MetadataOffset(2)
        })
    );
    assert_eq!(quorum.read_barrier().await, Ok(MetadataOffset(2)));
}

#[tokio::test(start_paused = true)]
async fn applied_batches_are_streamed_from_memory() {
    let cluster = Cluster::started(3).await;
    for name in ["a", "b", "c"] {
        cluster.write(name).await;
    }
    cluster.agree(MetadataOffset(3)).await;
    for quorum in cluster.running() {
        let batches = quorum.batches_since(MetadataOffset(1)).unwrap();
        assert_eq!(batches.len(), 2);
        assert_eq!(batches[0].decode().unwrap(), [feature("b", 1)]);
        assert!(quorum.batches_since(MetadataOffset(3)).unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_wiped_voter_comes_back_as_a_learner_and_is_then_admitted() {
    let mut cluster = Cluster::started(3).await;
    let offset = cluster.write("a").await;
    cluster.agree(offset).await;
    let old = cluster.node(3).directory_id();
    cluster.kill(3).await;
    cluster.wipe(3);
    let replaced = cluster.start(3).await.unwrap();
    assert_ne!(replaced.directory_id(), old);
    let new = replaced.directory_id();
    eventually("the new directory votes instead of the old one", || {
        let voters = cluster.running()[0].status().voters;
        let directories: Vec<_> = voters.iter().map(|voter| voter.directory_id).collect();
        (voters.len() == 3 && directories.contains(&new) && !directories.contains(&old)).then_some(())
    })
    .await;
    let offset = cluster.write("b").await;
    cluster.agree(offset).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_process_with_a_live_nodes_id_is_not_admitted() {
    let mut cluster = Cluster::started(3).await;
    cluster.write("a").await;
    let live = cluster.node(3);
    let mut config = cluster.config(3);
    config.port = 9103;
    let transport = Arc::new(Link {
        hub: Arc::clone(&cluster.hub),
        from: 9103,
    });
    let impostor = MetadataQuorum::start(config, Arc::new(MemoryFileSystem::new()), transport)
        .await
        .unwrap();
    cluster.hub.listening.lock().insert(9103, impostor.clone());
    tokio::time::sleep(Duration::from_secs(20)).await;
    let status = cluster.active().await.status();
    assert!(
        status
            .voters
            .iter()
            .any(|voter| voter.directory_id == live.directory_id())
    );
    assert!(
        !status
            .voters
            .iter()
            .chain(&status.learners)
            .any(|m| m.directory_id == impostor.directory_id())
    );
}

#[tokio::test(start_paused = true)]
async fn another_cluster_is_refused() {
    let mut cluster = Cluster::started(3).await;
    let offset = cluster.write("a").await;
    cluster.agree(offset).await;
    cluster.kill(3).await;
    cluster.wipe(3);
    cluster.change = |config| config.cluster_id = Some(types::ClusterId("elsewhere".to_owned()));
    let stranger = cluster.start(3).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(stranger.leadership().borrow().leader, None);
    assert_eq!(stranger.images().borrow().offset, MetadataOffset(0));
    cluster.kill(2).await;
    assert!(matches!(
        cluster.start(2).await,
        Err(QuorumError::ForeignCluster { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn leadership_is_handed_over_before_a_stop() {
    let cluster = Cluster::started(3).await;
    cluster.write("a").await;
    let old = cluster.active().await;
    let before = old.leadership().borrow().leader.clone().unwrap().0;
    old.resign().await;
    let after = eventually("another leader", || {
        let leader = old.leadership().borrow().leader.clone();
        leader.map(|(node, _)| node).filter(|node| *node != before)
    })
    .await;
    assert_ne!(before, after);
    cluster.write("b").await;
}

#[tokio::test(start_paused = true)]
async fn a_voter_can_be_removed() {
    let cluster = Cluster::started(3).await;
    cluster.write("a").await;
    let active = cluster.active().await;
    let status = active.status();
    let other = status
        .voters
        .iter()
        .find(|voter| Some(voter.node_id) != status.leader)
        .unwrap();
    active.remove_voter(other.node_id, other.directory_id).await.unwrap();
    assert_eq!(active.status().voters.len(), 2);
    cluster.write("b").await;
}

#[tokio::test(start_paused = true)]
async fn nonsense_from_the_network_is_refused() {
    let cluster = Cluster::started(1).await;
    cluster.write("a").await;
    for bytes in [&b""[..], b"\xff\xff\xff\xff", &[0x0a, 0x7f], &[0; 100]] {
        let response = cluster.node(1).handle(Bytes::copy_from_slice(bytes)).await;
        assert!(!response.is_empty());
    }
    cluster.write("b").await;
}
