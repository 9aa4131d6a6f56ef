//! Reads are right without any sweep.

use roomcast_ports::presence::PresenceStore as _;
use tokio::time::sleep;

use crate::world::{Away, Offline, Online, SECOND, connect, lease, start, status, touch, user};

#[tokio::test(flavor = "multi_thread")]
async fn reads_counts_and_connections_are_right_with_every_sweeper_dead() {
    let redis = start();
    let presence = connect(redis.url()).await;
    touch(
        &presence,
        &[lease("ana", "a1", Online), lease("bo", "b1", Online)],
        SECOND,
    )
    .await;
    let later = [lease("ana", "a2", Away), lease("cy", "c1", Online)];
    touch(&presence, &later, 30 * SECOND).await;
    let users = ["ana", "bo", "cy"].map(user);
    let connected = async || {
        let connections = presence
            .connections(&users)
            .await
            .expect("read connections");
        connections
            .into_iter()
            .map(|of_user| {
                let mut ids: Vec<_> = of_user
                    .iter()
                    .map(|it| it.connection_id.to_string())
                    .collect();
                ids.sort();
                ids
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        connected().await,
        [vec!["a1", "a2"], vec!["b1"], vec!["c1"]]
    );
    assert_eq!(presence.online_users().await.expect("count"), 3);

    sleep(SECOND + SECOND / 5).await;
    assert_eq!(status(&presence, "ana").await, Away);
    assert_eq!(status(&presence, "bo").await, Offline);
    assert_eq!(presence.online_users().await.expect("count"), 2);
    assert_eq!(connected().await, [vec!["a2"], vec![], vec!["c1"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_found_at_its_gateway() {
    let redis = start();
    let presence = connect(redis.url()).await;
    let mut elsewhere = lease("ana", "a2", Away);
    elsewhere.gateway = "another gateway".into();
    touch(
        &presence,
        &[lease("ana", "a1", Online), elsewhere],
        30 * SECOND,
    )
    .await;
    let found = presence
        .connections(&[user("ana")])
        .await
        .expect("read connections");
    let mut found: Vec<_> = found[0]
        .iter()
        .map(|it| (&*it.gateway, it.status))
        .collect();
    found.sort_unstable();
    assert_eq!(found, [("another gateway", Away), ("gateway-1", Online)]);
}
