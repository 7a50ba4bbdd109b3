//! TCP through the relay: every byte, in order, and no end that isn't one.

mod common;

use common::{TestRelay, config, target, token, within};
use jackfield_relay_wire::Frame;

#[tokio::test]
async fn bytes_come_back_from_an_echo() {
    let relay = TestRelay::start(config(token())).await;
    let (address, echo) = target(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await
    })
    .await;
    let mut client = relay.client().await;
    let (id, mut credit) = client.connect(&address, 1024 * 1024).await;
    assert!(credit > 0);
    let data = "to and fro".as_bytes();
    client
        .send(&Frame::Data {
            id,
            data: data.into(),
        })
        .await;
    assert_eq!(
        client.frame().await,
        Frame::Data {
            id,
            data: data.into()
        }
    );
    client.send(&Frame::Fin { id }).await;
    let (rest, reset) = client.read_to_end(id, &mut credit).await;
    assert!(rest.is_empty() && reset.is_none());
    assert_eq!(
        within(echo).await.expect("it ends").expect("in order"),
        data.len() as u64
    );
}
