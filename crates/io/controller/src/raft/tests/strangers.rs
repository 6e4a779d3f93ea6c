//! Processes that aren't ours, where somebody said that a controller is.

use std::sync::atomic::{AtomicBool, Ordering};

use super::codec::{member_to, vote_to};
use super::proto::append_response::Outcome;
use super::proto::raft_request::Call;
use super::proto::raft_response::Reply;
use super::proto::refusal::Reason;
use super::type_config::{Member, Vote, log_id};
use super::*;

const DEADLINE: Duration = Duration::from_secs(5);
const STRANGER: i32 = 9;

fn stranger() -> Member {
    Member {
        node_id: BrokerId(STRANGER),
        directory_id: DirectoryId(types::Uuid::from_u128(9)),
        host: "test".to_owned(),
        port: port(STRANGER),
    }
}

fn cluster_id(cluster: &Cluster) -> String {
    cluster.running()[0].cluster_id().borrow().clone().unwrap().0
}

/// Listens as `member`, and answers what is no question for its name as `answer` does.
fn listen(cluster: &Cluster, member: Member, answer: impl Fn(&Call, u64) -> Option<Reply> + Send + Sync + 'static) {
    let cluster_id = cluster_id(cluster);
    let port = member.port;
    let respond = move |request: proto::RaftRequest| {
        let call = request.call?;
        let asked_again = request.from.map_or(0, |from| from.raft_id);
        let reply = match (answer(&call, asked_again), &call) {
            (None, Call::Identify(_)) => Reply::Identify(proto::IdentifyResponse {
                member: Some(member_to(&member)),
                cluster_id: cluster_id.clone(),
                recoveries: 99,
                ..proto::IdentifyResponse::default()
            }),
            (reply, _) => reply?,
        };
        Some(proto::RaftResponse {
            reply: Some(reply),
            from: Some(member_to(&member)),
            cluster_id: cluster_id.clone(),
        })
    };
    cluster.hub.strangers.lock().insert(port, Stranger(Arc::new(respond)));
}

fn append(outcome: Outcome, matched: Option<u64>, term: Option<u64>) -> Reply {
    Reply::Append(proto::AppendResponse {
        outcome: outcome.into(),
        matched: matched.map(|index| super::codec::log_id_to(&log_id(1, index))),
        vote: term.map(|term| vote_to(&Vote::new_committed(term, 7))),
    })
}

async fn nobody_ends(cluster: &Cluster, running: &[MetadataQuorum], what: &str) {
    for quorum in running {
        let ended = tokio::time::timeout(Duration::from_secs(10), quorum.fatal()).await;
        assert!(ended.is_err(), "{what}: {ended:?}");
    }
    cluster.write(what).await;
}

/// What a stranger answers to an append and to a piece of a snapshot.
fn hostile_answers() -> Vec<(&'static str, Reply)> {
    let refusal = |reason: Reason| {
        Reply::Refusal(proto::Refusal {
            reason: reason.into(),
            message: "so there".to_owned(),
        })
    };
    vec![
        ("recovered without you", refusal(Reason::Outdated)),
        ("another cluster", refusal(Reason::WrongCluster)),
        ("a higher vote", append(Outcome::HigherVote, None, Some(u64::MAX))),
        ("a higher vote without one", append(Outcome::HigherVote, None, None)),
        ("a conflict", append(Outcome::Conflict, None, None)),
        ("nothing in particular", append(Outcome::Unknown, None, None)),
        ("more than was sent", append(Outcome::Partial, Some(1 << 40), None)),
        ("less than before", append(Outcome::Partial, None, None)),
        (
            "a snapshot for ever",
            Reply::SnapshotChunk(proto::SnapshotChunkResponse {
                next_position: 0,
                vote: Some(vote_to(&Vote::new(0, 0))),
                installed: false,
            }),
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn whoever_answers_where_a_newcomer_should_be_ends_and_deposes_nobody() {
    for (what, reply) in hostile_answers() {
        let cluster = Cluster::started(3).await;
        cluster.write("a").await;
        let leader = cluster.active().await;
        let term = leader.leadership().borrow().term;
        listen(&cluster, stranger(), move |call, _| {
            matches!(call, Call::Append(_) | Call::SnapshotChunk(_)).then(|| reply.clone())
        });
        let directory = stranger().directory_id;
        let adding = leader.add_voter(BrokerId(STRANGER), directory, Some(address(STRANGER)), DEADLINE);
        let (added, ()) = tokio::join!(adding, async {
            for round in 0..20 {
                cluster.write(&format!("meanwhile {round}")).await;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        assert!(
            matches!(added, Err(MembershipError::TooSlow { .. })),
            "{what}: {added:?}"
        );
        nobody_ends(&cluster, &cluster.running(), what).await;
        assert_eq!(leader.leadership().borrow().term, term, "{what}");
        assert!(leader.leadership().borrow().active, "{what}");
        let status = leader.status();
        assert_eq!((status.voters.len(), status.learners.len()), (3, 0), "{what}");
    }
}

/// It says first that it has everything, and then that it has nothing: openraft holds that to be impossible.
#[tokio::test(start_paused = true)]
async fn a_newcomer_that_takes_its_word_back_ends_nobody() {
    let cluster = Cluster::started(3).await;
    cluster.write("a").await;
    let leader = cluster.active().await;
    let turn = AtomicBool::new(false);
    listen(&cluster, stranger(), move |call, _| match call {
        Call::Append(request) if request.entries.is_empty() => Some(append(Outcome::Conflict, None, None)),
        Call::Append(_) if turn.fetch_xor(true, Ordering::Relaxed) => Some(append(Outcome::Conflict, None, None)),
        Call::Append(_) => Some(append(Outcome::Success, None, None)),
        _ => None,
    });
    // Not as a voter: its word would count then, whatever it is.
    let join = |leader: MetadataQuorum| async move { leader.handle(join_of(&stranger(), false, &leader)).await };
    join(leader.clone()).await;
    eventually("the stranger as a learner", || {
        (leader.status().learners.len() == 1).then_some(())
    })
    .await;
    for round in 0..50 {
        cluster.write(&format!("meanwhile {round}")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    nobody_ends(&cluster, &cluster.running(), "taken back").await;
}

fn join_of(from: &Member, wants_vote: bool, to: &MetadataQuorum) -> Bytes {
    request_of(from, Call::Join(proto::JoinRequest { wants_vote }), to, 0)
}

fn request_of(from: &Member, call: Call, to: &MetadataQuorum, recoveries: u64) -> Bytes {
    let request = proto::RaftRequest {
        from: Some(member_to(from)),
        to: 0,
        cluster_id: to.cluster_id().borrow().clone().unwrap().0,
        call: Some(call),
        recoveries,
    };
    request.encode_to_vec().into()
}

fn join_outcome(response: Bytes) -> proto::JoinResponse {
    match proto::RaftResponse::decode(response).unwrap().reply {
        Some(Reply::Join(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn member_of(quorum: &MetadataQuorum) -> Member {
    Member {
        node_id: quorum.node_id(),
        directory_id: quorum.directory_id(),
        host: "test".to_owned(),
        port: port(quorum.node_id().0),
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_ends_because_a_message_says_that_the_quorum_was_recovered() {
    let cluster = Cluster::started(3).await;
    cluster.write("a").await;
    let leader = cluster.active().await;
    // A learner at a stranger's address, whose word is asked for, too.
    listen(&cluster, stranger(), |_, _| None);
    leader.handle(join_of(&stranger(), false, &leader)).await;
    for to in cluster.running() {
        for claimed in [stranger(), member_of(&leader)] {
            for call in [
                Call::Identify(proto::IdentifyRequest {}),
                Call::Join(proto::JoinRequest { wants_vote: false }),
            ] {
                let response = to.handle(request_of(&claimed, call, &to, 99)).await;
                assert!(!response.is_empty());
            }
        }
    }
    nobody_ends(&cluster, &cluster.running(), "a number").await;
}

/// It has caught up, and then doesn't answer: of four voters only two would, and nothing could be committed any more.
#[tokio::test(start_paused = true)]
async fn a_newcomer_is_not_admitted_by_itself_when_that_loses_the_majority() {
    let mut cluster = Cluster::started(3).await;
    cluster.write("a").await;
    let dead = cluster
        .running()
        .into_iter()
        .map(|quorum| quorum.node_id().0)
        .max()
        .unwrap();
    cluster.kill(dead).await;
    cluster.write("b").await;
    let leader = cluster.active().await;
    let answers = Arc::new(AtomicBool::new(true));
    let still = Arc::clone(&answers);
    let silent = Member {
        node_id: BrokerId(STRANGER + 1),
        ..stranger()
    };
    let unheard = silent.clone();
    listen(&cluster, stranger(), move |call, _| match call {
        Call::Append(_) => Some(append(Outcome::Success, None, None)),
        Call::Identify(_) if !still.load(Ordering::Relaxed) => Some(Reply::Identify(proto::IdentifyResponse {
            member: Some(member_to(&unheard)),
            ..proto::IdentifyResponse::default()
        })),
        _ => None,
    });
    leader.handle(join_of(&stranger(), true, &leader)).await;
    eventually("the newcomer as a learner", || {
        (leader.status().learners.len() == 1).then_some(())
    })
    .await;
    answers.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let response = join_outcome(leader.handle(join_of(&stranger(), true, &leader)).await);
    assert_eq!(
        response.outcome(),
        proto::join_response::Outcome::Refused,
        "{response:?}"
    );
    assert_eq!(leader.status().voters.len(), 3);
    // When it answers, it is.
    answers.store(true, Ordering::Relaxed);
    let response = join_outcome(leader.handle(join_of(&stranger(), true, &leader)).await);
    assert_eq!(
        response.outcome(),
        proto::join_response::Outcome::Admitted,
        "{response:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_voters_place_is_not_taken_while_it_answers_there() {
    let cluster = Cluster::started(3).await;
    cluster.write("a").await;
    let leader = cluster.active().await;
    let voter = cluster
        .running()
        .into_iter()
        .find(|quorum| quorum.node_id() != leader.node_id());
    let voter = member_of(&voter.unwrap());
    let elsewhere = Member {
        port: port(STRANGER),
        ..voter.clone()
    };
    listen(&cluster, elsewhere.clone(), |_, _| None);
    let response = join_outcome(leader.handle(join_of(&elsewhere, true, &leader)).await);
    assert_eq!(
        response.outcome(),
        proto::join_response::Outcome::Duplicate,
        "{response:?}"
    );
    let status = leader.status();
    let known = status
        .voters
        .iter()
        .find(|known| known.node_id == voter.node_id)
        .unwrap();
    assert_eq!(known.address.port, voter.port);
}

/// A short name becomes a full one, an address a name: the old one still leads to the same process.
#[tokio::test(start_paused = true)]
async fn a_voter_with_another_name_keeps_its_place_though_the_old_one_reaches_it_too() {
    const RENAMED: u16 = 9_500;
    for leads in [false, true] {
        let mut cluster = Cluster::started(3).await;
        cluster.write("a").await;
        let leader = cluster.active().await.node_id().0;
        let node = (1..=3).find(|node| (*node == leader) == leads).unwrap();
        cluster.kill(node).await;
        cluster.change = |config| config.port = RENAMED;
        let quorum = cluster.start(node).await.unwrap();
        cluster.hub.listening.lock().insert(RENAMED, quorum.clone());
        let renamed = |of: &MetadataQuorum| {
            let voters = of.status().voters;
            let voter = voters.iter().find(|voter| voter.node_id == BrokerId(node));
            voter.is_some_and(|voter| voter.address.port == RENAMED)
        };
        let offset = cluster.write("b").await;
        cluster.agree(offset).await;
        eventually("the new name", || cluster.running().iter().all(renamed).then_some(())).await;
        nobody_ends(&cluster, &[quorum], "renamed").await;
    }
}

/// KIP-853's `controller.quorum.auto.join.enable=false`.
#[tokio::test(start_paused = true)]
async fn a_controller_that_must_not_join_by_itself_waits_for_the_operator() {
    let mut cluster = Cluster::started(1).await;
    cluster.write("a").await;
    cluster.change = |config| config.auto_join = false;
    let newcomer = cluster.start(2).await.unwrap();
    let leader = cluster.active().await;
    eventually("an observer", || (leader.status().learners.len() == 1).then_some(())).await;
    let offset = cluster.write("b").await;
    cluster.agree(offset).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(leader.status().voters.len(), 1);
    leader
        .add_voter(BrokerId(2), newcomer.directory_id(), None, DEADLINE)
        .await
        .unwrap();
    assert_eq!(leader.status().voters.len(), 2);
    cluster.write("c").await;
}
