//! Notifications are the fleet's, not a node's.

use serde_json::{Value, json};

use crate::support::{
    redis::{fresh_pool, shared},
    web::{get, give_back, open, post, take},
};

#[tokio::test]
async fn one_node_shows_what_happened_on_the_other_and_what_was_seen_there() {
    let pool = fresh_pool("notices");
    let (a, b) = (open(shared().await, &pool).await, open(shared().await, &pool).await);
    let of_b = async || -> Vec<Value> {
        let (status, list) = get(&b, "/api/quota/notifications").await;
        assert_eq!(status, 200, "{list}");
        list["notifications"].as_array().unwrap().clone()
    };
    assert_eq!(of_b().await, Vec::<Value>::new());

    let reservation = take(&a, "slots", "w1").await;
    let shown = of_b().await;
    assert!(!shown.is_empty());
    assert_eq!(shown[0]["acknowledged"], false, "{}", shown[0]);
    let id = shown[0]["id"].as_str().unwrap().to_owned();
    let (_, of_a) = get(&a, "/api/quota/notifications").await;
    assert_eq!(of_a["notifications"][0]["id"], id.as_str(), "the same on every node");

    let answer = post(&a, &format!("/api/quota/notifications/{id}/ack"), &json!({})).await;
    assert_eq!(answer["id"], id.as_str(), "{answer}");
    let seen = of_b().await.into_iter().find(|notice| notice["id"] == id.as_str()).unwrap();
    assert!(seen["acknowledged"] == true, "{seen}");

    give_back(&a, &reservation).await;
    assert_eq!(of_b().await, Vec::<Value>::new(), "the episode is over");
    take(&a, "slots", "w1").await;
    let again = of_b().await;
    assert!(again.iter().all(|notice| notice["id"] != id.as_str()), "another episode, another id");
    assert_eq!(again[0]["acknowledged"], false, "nobody has seen it yet");
}
