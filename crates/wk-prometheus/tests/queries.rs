//! Queries and lists through a real server.

mod common;

use common::{Client, Source, serve, sources};
use serde_json::{Value, json};
use wk_prometheus::QuerySettings;

async fn server() -> Client {
    let mut source = Source::default();
    source.add(&[("__name__", "up"), ("job", "a")], 0, 15_000, &[1.0, 1.0, 0.0]);
    source.add(&[("__name__", "up"), ("job", "b")], 0, 15_000, &[1.0, f64::NAN, 1e-7]);
    source.add(&[("__name__", "http.requests"), ("my.label", "x")], 0, 15_000, &[1.0, 5.0]);
    serve(sources(source), QuerySettings::default()).await
}

/// Asks by GET and by POST and expects the same data.
async fn check(client: &Client, path: &str, parameters: &[(&str, &str)], expected: Value) {
    for (status, answer) in
        [client.get(path, parameters).await, client.post(path, parameters).await]
    {
        assert_eq!(status, 200, "{path} {parameters:?}: {answer}");
        assert_eq!(answer["status"], "success");
        assert_eq!(answer["data"], expected, "{path} {parameters:?}");
    }
}

#[tokio::test]
async fn an_instant_query_is_answered() {
    let client = server().await;
    let expected = json!({"resultType": "vector", "result": [
        {"metric": {"__name__": "up", "job": "a"}, "value": [30.5, "0"]},
        {"metric": {"__name__": "up", "job": "b"}, "value": [30.5, "1e-07"]},
    ]});
    check(&client, "/api/v1/query", &[("query", "up"), ("time", "30.5")], expected).await;
    let expected = json!({"resultType": "scalar", "result": [30, "+Inf"]});
    check(&client, "/api/v1/query", &[("query", "1/0"), ("time", "30")], expected).await;
    let expected = json!({"resultType": "string", "result": [30, "a\"b"]});
    check(&client, "/api/v1/query", &[("query", "'a\"b'"), ("time", "30")], expected).await;
    let expected = json!({"resultType": "matrix", "result": [
        {"metric": {"__name__": "up", "job": "b"}, "values": [[15, "NaN"], [30, "1e-07"]]},
    ]});
    let query = [("query", "up{job='b'}[20s]"), ("time", "1970-01-01T00:00:30Z")];
    check(&client, "/api/v1/query", &query, expected).await;
}

#[tokio::test]
async fn a_range_query_is_answered() {
    let client = server().await;
    let range = |query| [("query", query), ("start", "0"), ("end", "30"), ("step", "15s")];
    let expected = json!({"resultType": "matrix", "result": [
        {"metric": {"__name__": "up", "job": "a"}, "values": [[0, "1"], [15, "1"], [30, "0"]]},
    ]});
    check(&client, "/api/v1/query_range", &range("up{job='a'}"), expected).await;
    let expected = json!({"resultType": "matrix", "result": []});
    check(&client, "/api/v1/query_range", &range("nothing"), expected).await;
}

#[tokio::test]
async fn lists_are_answered() {
    let client = server().await;
    check(&client, "/api/v1/labels", &[], json!(["__name__", "job", "my.label"])).await;
    let only = [("match[]", "up{job='a'}"), ("match[]", "nothing")];
    check(&client, "/api/v1/labels", &only, json!(["__name__", "job"])).await;
    let expected = json!([{"__name__": "up", "job": "a"}]);
    check(&client, "/api/v1/series", &only, expected).await;
    for path in ["/api/v1/label/my.label/values", "/api/v1/label/U__my_2e_label/values"] {
        let (status, answer) = client.get(path, &[]).await;
        assert_eq!((status, &answer["data"]), (200, &json!(["x"])), "{path}");
    }
    let (_, answer) = client.get("/api/v1/label/job/values", &[("limit", "1")]).await;
    assert_eq!(answer["data"], json!(["a"]));
    assert_eq!(answer["warnings"], json!(["results truncated due to limit"]));
}
