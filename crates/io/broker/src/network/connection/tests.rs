use std::net::SocketAddr;

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wire::ResponseFrame;

use super::*;
use crate::apis::Handling;

/// Answers when the test says so, and notes what was polled in which order.
#[derive(Debug, Default)]
struct Script {
    polled: Mutex<Vec<i32>>,
    waiting: Mutex<Vec<(i32, oneshot::Sender<crate::apis::Handled>)>>,
    /// How long the next request's client is to wait.
    mute: Mutex<Option<Duration>>,
}

/// Its own handle, so that the test can look inside.
#[derive(Debug, Clone, Default)]
struct Scripted(Arc<Script>);

impl Dispatcher for Scripted {
    fn dispatch(&self, request: ApiRequest) -> Handling {
        let script = Arc::clone(&self.0);
        let id = request.header.correlation_id;
        if let Some(wait) = script.mute.lock().take() {
            request.client.mute(wait);
        }
        async move {
            script.polled.lock().push(id);
            let (answer, answered) = oneshot::channel();
            script.waiting.lock().push((id, answer));
            answered.await.unwrap()
        }
        .boxed()
    }

    fn api_name(&self, _: i16) -> &'static str {
        "Scripted"
    }
}

impl Scripted {
    fn polled(&self) -> Vec<i32> {
        self.0.polled.lock().clone()
    }

    fn answer(&self, id: i32, handled: crate::apis::Handled) {
        let mut waiting = self.0.waiting.lock();
        let at = waiting.iter().position(|(waiting, _)| *waiting == id).unwrap();
        waiting.swap_remove(at).1.send(handled).unwrap();
    }

    fn frame(id: i32) -> crate::apis::Handled {
        Ok(Some(ResponseFrame {
            chunks: vec![Bytes::copy_from_slice(&id.to_be_bytes())],
        }))
    }

    async fn until_polled(&self, expected: &[i32]) {
        while self.polled() != expected {
            tokio::task::yield_now().await;
        }
    }
}

struct Session {
    script: Scripted,
    client: DuplexStream,
    stop: watch::Sender<bool>,
    budget: RequestBudget,
    task: JoinHandle<()>,
}

impl Session {
    fn new() -> Self {
        let script = Scripted::default();
        let (client, server) = duplex(1 << 16);
        let (stop, stopping) = watch::channel(false);
        let budget = RequestBudget::new(1 << 20);
        let settings = ConnectionSettings {
            request_max_bytes: 1 << 20,
            max_idle: Duration::from_secs(600),
            budget: budget.clone(),
        };
        let client_of = ClientConnection::new("PLAINTEXT", SocketAddr::from(([127, 0, 0, 1], 40_000)), 0);
        let metrics = Arc::new(BrokerMetrics::new());
        let connection = Connection::new(Arc::new(script.clone()), settings, metrics, client_of);
        let (source, sink) = tokio::io::split(server);
        let task = tokio::spawn(connection.run(source, sink, stopping));
        Self {
            script,
            client,
            stop,
            budget,
            task,
        }
    }

    /// Heartbeats are small and have a plain header.
    async fn send(&mut self, key: ApiKey, id: i32) {
        let mut frame = Vec::new();
        frame.extend_from_slice(&(key as i16).to_be_bytes());
        frame.extend_from_slice(&0_i16.to_be_bytes());
        frame.extend_from_slice(&id.to_be_bytes());
        frame.extend_from_slice(&(-1_i16).to_be_bytes());
        self.client
            .write_all(&(frame.len() as i32).to_be_bytes())
            .await
            .unwrap();
        self.client.write_all(&frame).await.unwrap();
    }

    async fn next_answer(&mut self) -> Option<i32> {
        self.client.read_i32().await.ok()
    }

    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn requests_are_polled_as_they_come_and_answered_in_their_order() {
    let mut session = Session::new();
    for id in 1..=3 {
        session.send(ApiKey::Heartbeat, id).await;
    }
    session.script.until_polled(&[1, 2, 3]).await;
    for id in [3, 2, 1] {
        session.script.answer(id, Scripted::frame(id));
    }
    for id in 1..=3 {
        assert_eq!(session.next_answer().await, Some(id));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_above_its_quota_is_answered_and_then_not_read_until_it_has_waited() {
    let mut session = Session::new();
    *session.script.0.mute.lock() = Some(Duration::from_secs(5));
    session.send(ApiKey::Heartbeat, 1).await;
    session.script.until_polled(&[1]).await;
    session.script.answer(1, Scripted::frame(1));
    assert_eq!(session.next_answer().await, Some(1));
    session.send(ApiKey::Heartbeat, 2).await;
    tokio::time::advance(Duration::from_millis(4_900)).await;
    session.settle().await;
    assert_eq!(session.script.polled(), [1]);
    tokio::time::advance(Duration::from_millis(200)).await;
    session.script.until_polled(&[1, 2]).await;
    session.script.answer(2, Scripted::frame(2));
    assert_eq!(session.next_answer().await, Some(2));
}

#[tokio::test]
async fn a_request_without_an_answer_leaves_no_gap() {
    let mut session = Session::new();
    session.send(ApiKey::Heartbeat, 1).await;
    session.send(ApiKey::Heartbeat, 2).await;
    session.script.until_polled(&[1, 2]).await;
    session.script.answer(1, Ok(None));
    session.script.answer(2, Scripted::frame(2));
    assert_eq!(session.next_answer().await, Some(2));
}

#[tokio::test]
async fn no_more_than_the_limit_are_in_work() {
    let mut session = Session::new();
    for id in 0..12 {
        session.send(ApiKey::Heartbeat, id).await;
    }
    let first: Vec<i32> = (0..8).collect();
    session.script.until_polled(&first).await;
    session.settle().await;
    assert_eq!(session.script.polled(), first);
    session.script.answer(0, Scripted::frame(0));
    assert_eq!(session.next_answer().await, Some(0));
    session.script.until_polled(&(0..9).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_second_fetch_waits_for_the_first_and_blocks_what_follows() {
    let mut session = Session::new();
    session.send(ApiKey::Fetch, 1).await;
    session.send(ApiKey::Fetch, 2).await;
    session.send(ApiKey::Heartbeat, 3).await;
    session.script.until_polled(&[1]).await;
    session.settle().await;
    assert_eq!(session.script.polled(), [1]);
    session.script.answer(1, Scripted::frame(1));
    session.script.until_polled(&[1, 2, 3]).await;
}

#[tokio::test]
async fn metadata_is_looked_up_when_everything_before_it_is_answered() {
    let mut session = Session::new();
    session.send(ApiKey::Produce, 1).await;
    session.send(ApiKey::Produce, 2).await;
    session.send(ApiKey::Metadata, 3).await;
    session.send(ApiKey::Produce, 4).await;
    session.script.until_polled(&[1, 2]).await;
    session.script.answer(1, Scripted::frame(1));
    assert_eq!(session.next_answer().await, Some(1));
    session.settle().await;
    assert_eq!(session.script.polled(), [1, 2]);
    session.script.answer(2, Scripted::frame(2));
    session.script.until_polled(&[1, 2, 3, 4]).await;
}

#[tokio::test]
async fn a_request_waits_for_the_nodes_budget() {
    let mut session = Session::new();
    let all = session.budget.try_take(usize::MAX).unwrap();
    session.send(ApiKey::Heartbeat, 1).await;
    session.settle().await;
    assert!(session.script.polled().is_empty());
    drop(all);
    session.script.until_polled(&[1]).await;
    session.script.answer(1, Scripted::frame(1));
    assert_eq!(session.next_answer().await, Some(1));
}

#[tokio::test]
async fn a_fault_closes_the_connection_after_the_answers_before_it() {
    let mut session = Session::new();
    session.send(ApiKey::Heartbeat, 1).await;
    session.send(ApiKey::Heartbeat, 2).await;
    session.script.until_polled(&[1, 2]).await;
    session
        .script
        .answer(2, Err(ApiFault::UnacknowledgedFailure("no".to_owned())));
    session.script.answer(1, Scripted::frame(1));
    assert_eq!(session.next_answer().await, Some(1));
    assert_eq!(session.next_answer().await, None);
    session.task.await.unwrap();
}

#[tokio::test]
async fn bytes_that_are_no_request_close_the_connection_after_the_answers_before_them() {
    let mut session = Session::new();
    session.send(ApiKey::Heartbeat, 1).await;
    session.script.until_polled(&[1]).await;
    session.client.write_all(&(-5_i32).to_be_bytes()).await.unwrap();
    session.settle().await;
    session.script.answer(1, Scripted::frame(1));
    assert_eq!(session.next_answer().await, Some(1));
    session.task.await.unwrap();
}

#[tokio::test]
async fn a_stopping_node_still_answers_what_is_in_work() {
    let mut session = Session::new();
    session.send(ApiKey::Heartbeat, 1).await;
    session.script.until_polled(&[1]).await;
    session.stop.send(true).unwrap();
    session.settle().await;
    session.script.answer(1, Scripted::frame(1));
    assert_eq!(session.next_answer().await, Some(1));
    session.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let mut session = Session::new();
    tokio::time::advance(Duration::from_secs(601)).await;
    assert_eq!(session.next_answer().await, None);
}
