//! The IMAP client: every request that a page can make of it.

use jackfield_imap::RequestError;
use jackfield_imap::client::{Append, Client, ClientConfig, Events, Fetches, connect};
use jackfield_imap::codec::{
    Depth, Flag, FlagChange, Item, ListQuery, MailboxName, Messages, Notify, Query, SearchReturn,
    Section, SequenceSet, SortBy, StatusItem, Threading,
};
use jackfield_sasl::Credentials;
use tokio::io::AsyncReadExt;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::network::{Network, Running, choose};
use crate::page::{show, shown, text};

/// A client that does what the page chooses.
#[wasm_bindgen]
pub fn imap() -> Option<Running> {
    let credentials = shown(Credentials::password(&text(), &text()))?;
    #[cfg_attr(
        not(feature = "imap-compress"),
        expect(unused_mut, reason = "nothing to set")
    )]
    let mut config = ClientConfig::new(credentials);
    #[cfg(feature = "imap-compress")]
    {
        config.session.compress = true;
    }
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

fn mailbox() -> MailboxName {
    shown(text().parse()).unwrap_or_else(MailboxName::inbox)
}

fn messages() -> Messages {
    Messages::Uids(shown(text().parse()).unwrap_or_else(SequenceSet::everything))
}

fn items() -> [Item; 4] {
    [
        Item::Envelope,
        Item::Flags,
        Item::Structure,
        Item::body(Section::header()),
    ]
}

async fn read(fetches: Result<Fetches, RequestError>) {
    let Some(mut fetches) = shown(fetches) else {
        return;
    };
    while let Some(message) = shown(fetches.next().await).flatten() {
        let envelope = message.envelope.unwrap_or_default();
        show(&envelope.subject.unwrap_or_default().to_string());
    }
}

/// One request after the other, as the page chooses.
async fn ask(client: Client) {
    loop {
        let (at, which) = (mailbox(), messages());
        let flags = FlagChange::Add(vec![Flag::Seen]);
        match choose() {
            0 => drop(shown(client.select(at).await)),
            1 => drop(shown(client.examine(at).await)),
            2 => drop(shown(client.unselect().await)),
            3 => read(client.fetch(which, items()).await).await,
            4 => {
                let changed = client.fetch_changed(which, items(), choose().into());
                read(changed.await).await;
            }
            5 => {
                let mut told = Vec::new();
                if let Some(mut body) = shown(client.read(choose(), Section::all()).await) {
                    shown(body.read_to_end(&mut told).await);
                }
                show(&String::from_utf8_lossy(&told));
            }
            6 => drop(shown(client.store(which, flags).await)),
            7 => drop(shown(
                client.store_unchanged(which, flags, choose().into()).await,
            )),
            8 => drop(shown(client.copy(which, at).await)),
            9 => drop(shown(client.move_to(which, at).await)),
            10 => drop(shown(client.expunge().await)),
            11 => {
                if let Messages::Uids(uids) = which {
                    shown(client.expunge_uids(uids).await);
                }
            }
            12 => drop(shown(client.append(Append::to(at), text()).await)),
            13 => {
                let message = text();
                let appended =
                    client.append_from(Append::to(at), message.len() as u64, message.as_bytes());
                shown(appended.await);
            }
            14 => drop(shown(
                client.replace(choose(), Append::to(at), text()).await,
            )),
            15 => drop(shown(client.search(query()).await)),
            16 => drop(shown(
                client.search_for(query(), [SearchReturn::Count]).await,
            )),
            17 => drop(shown(client.sort(SortBy::Arrival, query()).await)),
            18 => drop(shown(client.threads(Threading::References, query()).await)),
            19 => drop(shown(client.list(ListQuery::all()).await)),
            20 => drop(shown(client.special_mailboxes().await)),
            21 => drop(shown(client.mailbox_status(at, [StatusItem::Unseen]).await)),
            22 => drop(shown(client.namespaces().await)),
            23 => drop(shown(client.notify(Notify::new()).await)),
            24 => drop(shown(client.create(at).await)),
            25 => drop(shown(client.delete(at).await)),
            26 => drop(shown(client.rename(at, mailbox()).await)),
            27 => drop(shown(client.subscribe(at).await)),
            28 => drop(shown(client.unsubscribe(at).await)),
            29 => drop(shown(client.quotas(at).await)),
            30 => drop(shown(client.acl(at).await)),
            31 => drop(shown(client.my_rights(at).await)),
            32 => drop(shown(client.metadata(None, [], Depth::default()).await)),
            33 => drop(client.idle()),
            34 => drop(shown(client.noop().await)),
            _ => return client.close().await,
        }
    }
}

fn query() -> Query {
    Query::new().text(text()).unseen().smaller(choose())
}
