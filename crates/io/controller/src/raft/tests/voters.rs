//! What an operator does to the voters, and what a forced recovery leaves behind.

use std::path::Path;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

/// A running node that doesn't lead.
async fn follower(cluster: &Cluster) -> MetadataQuorum {
    let active = cluster.active().await.node_id();
    cluster
        .running()
        .into_iter()
        .find(|quorum| quorum.node_id() != active)
        .unwrap()
}

fn voters(quorum: &MetadataQuorum) -> Vec<BrokerId> {
    quorum.status().voters.iter().map(|voter| voter.node_id).collect()
}

fn is_learner(quorum: &MetadataQuorum, node: BrokerId) -> bool {
    quorum.status().learners.iter().any(|learner| learner.node_id == node)
}

#[tokio::test(start_paused = true)]
async fn a_removed_voter_follows_as_a_learner_and_votes_again_by_the_operators_word_only() {
    let mut cluster = Cluster::started(3).await;
    cluster.write("a").await;
    let removed = follower(&cluster).await;
    let (node, directory) = (removed.node_id(), removed.directory_id());
    cluster.active().await.remove_voter(node, directory).await.unwrap();
    assert_eq!(voters(&cluster.active().await).len(), 2);
    // It hears of it by asking, and after a restart it doesn't forget.
    for _ in 0..2 {
        eventually("the removed voter as a learner", || {
            cluster
                .running()
                .iter()
                .all(|quorum| is_learner(quorum, node))
                .then_some(())
        })
        .await;
        let offset = cluster.write("b").await;
        cluster.agree(offset).await;
        cluster.kill(node.0).await;
        cluster.start(node.0).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(voters(&cluster.active().await).len(), 2);
    }
    let active = cluster.active().await;
    active.add_voter(node, directory, None, DEADLINE).await.unwrap();
    assert_eq!(voters(&active).len(), 3);
    let again = active.add_voter(node, directory, None, DEADLINE).await;
    assert_eq!(again, Err(MembershipError::AlreadyVoter(node)));
    let offset = cluster.write("c").await;
    cluster.agree(offset).await;
}

#[tokio::test(start_paused = true)]
async fn the_leader_can_be_removed_and_another_one_leads() {
    let cluster = Cluster::started(3).await;
    cluster.write("a").await;
    let old = cluster.active().await;
    old.remove_voter(old.node_id(), old.directory_id()).await.unwrap();
    let new = eventually("another leader", || {
        let mut others = cluster
            .running()
            .into_iter()
            .filter(|quorum| quorum.node_id() != old.node_id());
        others.find(|quorum| quorum.leadership().borrow().active)
    })
    .await;
    assert!(!voters(&new).contains(&old.node_id()));
    cluster.write("b").await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_loses_the_majority_is_refused_the_moment_after_a_voter_died() {
    let mut cluster = Cluster::started(3).await;
    cluster.write("a").await;
    let active = cluster.active().await;
    let dead = follower(&cluster).await;
    let (dead, directory) = (dead.node_id(), dead.directory_id());
    cluster.kill(dead.0).await;
    let alive = follower(&cluster).await;
    let refused = active.remove_voter(alive.node_id(), alive.directory_id()).await;
    assert!(
        matches!(
            refused,
            Err(MembershipError::WouldLoseMajority {
                voters: 2,
                needed: 2,
                alive: 1,
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(voters(&active).len(), 3);
    active.remove_voter(dead, directory).await.unwrap();
    cluster.write("b").await;
    active
        .remove_voter(alive.node_id(), alive.directory_id())
        .await
        .unwrap();
    let last = active.remove_voter(active.node_id(), active.directory_id()).await;
    assert_eq!(last, Err(MembershipError::LastVoter(active.node_id())));
    cluster.write("c").await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_or_mistaken_newcomer_changes_nothing() {
    let cluster = Cluster::started(3).await;
    cluster.write("a").await;
    let active = cluster.active().await;
    let nowhere = VoterAddress {
        node_id: Some(BrokerId(9)),
        host: "test".to_owned(),
        port: port(9),
    };
    let directory = DirectoryId(types::Uuid::from_u128(9));
    let dead = active.add_voter(BrokerId(9), directory, Some(nowhere), DEADLINE).await;
    assert!(matches!(dead, Err(MembershipError::Unreachable { .. })), "{dead:?}");
    let unknown = active.add_voter(BrokerId(9), directory, None, DEADLINE).await;
    assert_eq!(unknown, Err(MembershipError::Unknown(BrokerId(9))));
    // Somebody else's address.
    let other = follower(&cluster).await.node_id();
    let mistaken = active
        .add_voter(BrokerId(9), directory, Some(address(other.0)), DEADLINE)
        .await;
    assert!(
        matches!(mistaken, Err(MembershipError::Unreachable { .. })),
        "{mistaken:?}"
    );
    let status = active.status();
    assert_eq!((status.voters.len(), status.learners.len()), (3, 0));
    cluster.write("b").await;
}

#[tokio::test(start_paused = true)]
async fn a_survivor_is_made_the_only_voter_and_those_left_behind_are_refused() {
    let mut cluster = Cluster::started(3).await;
    let offset = cluster.write("a").await;
    cluster.agree(offset).await;
    let cluster_id = cluster.node(1).cluster_id().borrow().clone();
    for node in 1..=3 {
        cluster.kill(node).await;
    }
    let open = |cluster: &Cluster| Survivor::open(Arc::new(cluster.disks[&1].clone()), Path::new("/metadata"));
    let survivor = open(&cluster).unwrap();
    assert_eq!(survivor.other_voters().len(), 2);
    assert_eq!(Some(survivor.cluster_id().clone()), cluster_id);
    // Nothing else may use it meanwhile.
    assert!(matches!(open(&cluster), Err(QuorumError::InUse(_))));
    survivor.recover().await.unwrap();
    assert!(open(&cluster).unwrap().other_voters().is_empty());

    let alone = cluster.start(1).await.unwrap();
    cluster.write("b").await;
    assert_eq!(voters(&alone), [BrokerId(1)]);
    // Both at once have a majority of the old voters: they hear of the recovery and end.
    let behind = [cluster.start(2).await.unwrap(), cluster.start(3).await.unwrap()];
    for quorum in behind {
        let fatal = tokio::time::timeout(Duration::from_secs(60), quorum.fatal())
            .await
            .unwrap();
        assert!(fatal.to_string().contains("was recovered without node"), "{fatal}");
        cluster.kill(quorum.node_id().0).await;
    }
    // Blank they are welcome.
    for node in [2, 3] {
        cluster.wipe(node);
        cluster.start(node).await.unwrap();
    }
    eventually("three voters", || (voters(&cluster.node(1)).len() == 3).then_some(())).await;
    let offset = cluster.write("c").await;
    cluster.agree(offset).await;
    cluster.kill(1).await;
    cluster.write("d").await;
}

/// Those left behind went on meanwhile, and removed the survivor: nothing of Raft goes to it any more.
#[tokio::test(start_paused = true)]
async fn a_left_behind_majority_that_forgot_the_survivor_is_told_when_it_is_back() {
    let mut cluster = Cluster::started(3).await;
    let offset = cluster.write("a").await;
    cluster.agree(offset).await;
    let survivor = cluster.node(1).directory_id();
    for node in 1..=3 {
        cluster.kill(node).await;
    }
    let disk = Arc::new(cluster.disks[&1].clone());
    Survivor::open(disk, Path::new("/metadata"))
        .unwrap()
        .recover()
        .await
        .unwrap();
    let behind = [cluster.start(2).await.unwrap(), cluster.start(3).await.unwrap()];
    cluster.write("b").await;
    let active = cluster.active().await;
    active.remove_voter(BrokerId(1), survivor).await.unwrap();
    cluster.write("c").await;
    cluster.start(1).await.unwrap();
    for quorum in behind {
        let fatal = tokio::time::timeout(Duration::from_secs(60), quorum.fatal())
            .await
            .unwrap();
        assert!(fatal.to_string().contains("was recovered without node"), "{fatal}");
        cluster.kill(quorum.node_id().0).await;
    }
    cluster.write("d").await;
}

#[tokio::test(start_paused = true)]
async fn only_a_voters_log_can_be_recovered_from() {
    let blank = Survivor::open(Arc::new(MemoryFileSystem::new()), Path::new("/metadata"));
    assert!(matches!(blank, Err(QuorumError::Config(_))), "{blank:?}");
}

#[tokio::test(start_paused = true)]
async fn after_all_were_killed_at_once_a_leader_is_there_within_a_second() {
    let mut cluster = Cluster::started(3).await;
    let offset = cluster.write("a").await;
    cluster.agree(offset).await;
    for _ in 0..5 {
        for node in 1..=3 {
            cluster.kill(node).await;
        }
        let began = tokio::time::Instant::now();
        for node in 1..=3 {
            cluster.start(node).await.unwrap();
        }
        cluster.write("b").await;
        // A lease and an election timeout alone are a second and a half.
        assert!(
            began.elapsed() < Duration::from_millis(1_000),
            "took {:?}",
            began.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_among_the_listed_ends_itself_and_nobody_else() {
    let mut cluster = Cluster::started(3).await;
    let offset = cluster.write("a").await;
    cluster.agree(offset).await;
    for node in 1..=3 {
        cluster.kill(node).await;
    }
    // Node 3 gets the disk of a cluster of its own.
    cluster.wipe(3);
    let all = std::mem::replace(&mut cluster.voters, vec![address(3)]);
    cluster.start(3).await.unwrap();
    cluster.write("elsewhere").await;
    cluster.kill(3).await;
    cluster.voters = all;
    let stranger = cluster.start(3).await.unwrap();
    eventually("the stranger to lead alone", || {
        stranger.leadership().borrow().active.then_some(())
    })
    .await;
    let healthy = [cluster.start(1).await.unwrap(), cluster.start(2).await.unwrap()];
    let fatal = tokio::time::timeout(Duration::from_secs(60), stranger.fatal())
        .await
        .unwrap();
    assert!(fatal.to_string().contains("belongs to cluster"), "{fatal}");
    for quorum in healthy {
        let ended = tokio::time::timeout(Duration::from_secs(30), quorum.fatal()).await;
        assert!(ended.is_err(), "{ended:?}");
    }
    cluster.kill(3).await;
    cluster.write("b").await;
}
