//! The webhook receiver keeps what it gets.

use std::time::Duration;

use wk_testkit::{Receiver, Trouble, http_client};

const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn keeps_messages_and_fails_when_told_to() {
    let receiver = Receiver::start().await;
    let client = http_client();
    let post = async |key: &str| {
        let request = client.post(receiver.url("/hook?a=1")).header("Idempotency-Key", key);
        request.body(r#"{"n":1}"#).send().await
    };
    receiver.trouble_next([Trouble::Status(503, Some(2))]);
    let refused = post("a").await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (503, &"2".parse().unwrap())
    );
    assert!(post("a").await.unwrap().status().is_success());
    assert!(post("b").await.unwrap().status().is_success());
    let all = receiver.wait_for("three messages", DEADLINE, |all| all.len() == 3).await;
    assert_eq!((all[0].path.as_str(), all[0].key(), all[0].status), ("/hook?a=1", Some("a"), 503));
    assert_eq!(all[1].json()["n"], 1);
    let keys: Vec<(String, usize)> = receiver.keys().into_iter().collect();
    assert_eq!(keys, [("a".to_owned(), 1), ("b".to_owned(), 1)]);

    receiver.trouble_all(Some(Trouble::Hang));
    let hanging = tokio::time::timeout(Duration::from_millis(200), post("c")).await;
    assert!(hanging.is_err(), "it is not answered");
    assert_eq!(receiver.accepted().len(), 2);
}

#[tokio::test]
async fn comes_back_on_the_same_port() {
    let receiver = Receiver::start().await;
    let (port, url) = (receiver.port(), receiver.url("/"));
    drop(receiver);
    wk_testkit::wait_until("the port is closed", DEADLINE, async || {
        http_client().post(&url).send().await.is_err()
    })
    .await;
    let receiver = Receiver::start_at(port).await;
    assert!(http_client().post(&url).send().await.unwrap().status().is_success());
    assert_eq!(receiver.received().len(), 1);
}
