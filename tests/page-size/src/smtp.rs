//! The SMTP client: every request that a page can make of it.

use jackfield_sasl::Credentials;
use jackfield_smtp::RequestError;
use jackfield_smtp::client::{Client, Events, connect};
use jackfield_smtp::codec::InvalidValue;
use jackfield_smtp::core::{Config, Envelope, Outcome, Security};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::network::{Network, Running, choose};
use crate::page::{show, shown, text};

/// A client that does what the page chooses.
#[wasm_bindgen]
pub fn smtp() -> Option<Running> {
    let mut config = Config::new(shown(text().parse())?);
    config.security = Security::Tls;
    config.credentials = Some(shown(Credentials::password(&text(), &text()))?);
    let server = shown(text().parse())?;
    let (client, events, connection) = connect(Network, server, config);
    let running = Running::default();
    let running = running.with(async move { _ = shown(connection.await) });
    Some(running.with(listen(events)).with(ask(client)))
}

async fn listen(mut events: Events) {
    while let Some(event) = events.next().await {
        drop(event);
        show("news");
    }
}

/// One request after the other, as the page chooses.
async fn ask(client: Client) {
    loop {
        match choose() {
            0 => {
                if let Some(envelope) = shown(envelope()) {
                    tell(client.send(envelope, text()).await);
                }
            }
            1 => {
                if let Some(envelope) = shown(envelope()) {
                    tell(client.send_from(envelope, text().as_bytes(), None).await);
                }
            }
            2 => {
                if let Some(text) = shown(text().parse()) {
                    shown(client.verify(text).await);
                }
            }
            3 => drop(shown(client.noop().await)),
            _ => return client.close().await,
        }
    }
}

/// A pool that does what the page chooses.
#[cfg(feature = "smtp-pool")]
#[wasm_bindgen]
pub fn pool() -> Option<Running> {
    use jackfield_smtp::client::{PoolConfig, connect_pool};

    let config = Config::new(shown(text().parse())?);
    let server = shown(text().parse())?;
    let (pool, mut events, connection) = connect_pool(Network, server, PoolConfig::new(config));
    let running = Running::default().with(async move { _ = shown(connection.await) });
    let running = running.with(async move {
        while events.next().await.is_some() {
            show("news");
        }
    });
    Some(running.with(async move {
        while let Some(envelope) = shown(envelope()) {
            tell(pool.send(envelope, text()).await);
            if let Some(envelope) = shown(self::envelope()) {
                tell(pool.send_from(envelope, text().as_bytes(), None).await);
            }
        }
        pool.close().await;
    }))
}

fn envelope() -> Result<Envelope, InvalidValue> {
    Ok(Envelope::new(text().parse()?, [text().parse()?]))
}

/// Shows what became of a message.
fn tell(outcome: Result<Outcome, RequestError>) {
    let Some(outcome) = shown(outcome) else {
        return;
    };
    for mailbox in outcome.accepted() {
        show(&mailbox.to_string());
    }
    for (mailbox, reply) in outcome.refused() {
        show(&format!("{mailbox}: {reply}"));
    }
}
