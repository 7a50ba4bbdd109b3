//! The scenario of an IRC client's life, the same against every server.

use std::time::Duration;

use jackfield_irc::RequestError;
use jackfield_irc::client::{ClientEvent, Status};
use jackfield_irc::codec::{ChannelName, Target, Text, Word};
use jackfield_irc::core::{ChatKind, ChatMessage, Event, ListFilter};
use jackfield_socket::{Endpoint, TcpConnect};
use jackfield_testing::proxy::Proxy;

use crate::LONG;
use crate::user::{User, config, name};

/// What the server offers beyond the ordinary.
#[derive(Clone, Copy, Debug)]
pub struct Offers {
    /// IRCv3 server-time.
    pub server_time: bool,
}

/// Plays all of it, with a server on loopback.
pub async fn play<N: TcpConnect + Clone>(network: &N, server: &Endpoint, offers: Offers) {
    let channel = ChannelName::new("#jackfield").expect("a name");
    let mut ada = User::register(network.clone(), server, config("ada")).await;
    let mut bob = collide(network, server).await;
    meet(&mut ada, &mut bob, &channel).await;
    ask(&ada, &bob, &channel).await;
    talk(&mut ada, &mut bob, &channel, offers).await;
    rule(&mut ada, &mut bob, &channel).await;
    leave_and_return(&mut ada, network, server, &channel).await;
    part(ada, bob).await;
}

/// A nickname that is taken: the next one is tried.
async fn collide<N: TcpConnect + Clone>(network: &N, server: &Endpoint) -> User {
    let mut wanted = config("ada");
    wanted.session.alternatives = vec![name("bob")];
    let mut bob = User::start(network.clone(), server, wanted);
    let (nick, _) = bob.registered().await;
    assert_eq!(nick, "bob");
    let taken = bob.client.set_nick(&name("ada")).await;
    assert!(matches!(taken, Err(RequestError::Refused(_))), "{taken:?}");
    bob
}

/// A channel, its topic, and who is in it.
async fn meet(ada: &mut User, bob: &mut User, channel: &ChannelName) {
    let joined = ada.client.join(channel, None).await.expect("entered");
    assert_eq!(joined.topic, None);
    let symbols: Vec<_> = joined.members.iter().map(|it| &*it.symbols).collect();
    assert_eq!(symbols, ["@"], "who founds a channel is its operator");

    let topic = "Grüße: sockets, and nothing but sockets";
    let done = ada.client.set_topic(channel, topic).await;
    done.expect("the operator may");
    let joined = bob.client.join(channel, None).await.expect("entered");
    assert_eq!(joined.topic.as_deref(), Some(topic));
    assert_eq!(joined.members.len(), 2);
    ada.wait_irc("for bob", |event| match event {
        Event::Joined { nick, own, .. } => (*nick == "bob" && !own).then_some(()),
        _ => None,
    })
    .await;
}

/// TOPIC, NAMES, WHO, WHOIS, LIST, and asking for what is not there.
async fn ask(ada: &User, bob: &User, channel: &ChannelName) {
    let topic = bob.client.topic(channel).await.expect("a topic");
    assert!(topic.is_some_and(|topic| topic.starts_with("Grüße")));

    let mut names: Vec<_> = bob.client.names(channel).await.expect("the members");
    names.sort_by(|a, b| a.nick.cmp(&b.nick));
    let names: Vec<_> = names.iter().map(|it| (&*it.nick, &*it.symbols)).collect();
    assert_eq!(names, [("ada", "@"), ("bob", "")]);

    let mut who = bob
        .client
        .who(&Word::from(channel))
        .await
        .expect("an answer");
    who.sort_by(|a, b| a.nick.cmp(&b.nick));
    let who: Vec<_> = who.iter().map(|it| (&*it.nick, &*it.real_name)).collect();
    assert_eq!(who, [("ada", "ada"), ("bob", "ada")]);

    let whois = bob.client.whois(&name("ada")).await.expect("an answer");
    let whois = whois.expect("she is here");
    assert_eq!(whois.user.name, "ada");
    assert_eq!(whois.real_name, "ada");
    assert!(whois.channels.iter().any(|it| it.ends_with(&**channel)));

    for names in [None, Some("#jackfield"), Some("#jack*")] {
        for (min_members, found) in [(0, true), (2, true), (3, false)] {
            let mut filter = ListFilter::default();
            filter.names = names.map(|names| names.parse().expect("a word"));
            filter.min_members = min_members;
            let mut list = bob.client.list(filter).await.expect("an answer");
            // ngIRCd has a channel of its own, for what it logs.
            list.retain(|it| it.channel != "&SERVER");
            let listed: Vec<_> = list.iter().map(|it| (&*it.channel, it.members)).collect();
            let expected: &[_] = if found { &[("#jackfield", 2)] } else { &[] };
            assert_eq!(listed, expected, "{names:?}, {min_members}");
            assert!(list.iter().all(|it| it.topic.contains("Grüße")), "{list:?}");
        }
    }

    let nobody = ada.client.whois(&name("nobody")).await;
    assert!(
        matches!(nobody, Err(RequestError::Refused(_))),
        "{nobody:?}"
    );
}

/// Messages both ways, one of them far longer than a line.
async fn talk(ada: &mut User, bob: &mut User, channel: &ChannelName, offers: Offers) {
    let long = "Žluťoučký kůň úpěl ďábelské ódy –  日本語 🎉 ".repeat(30);
    // A server may take what ends the text itself.
    let long = long.trim_end();
    assert!(long.len() > 1500);
    let sent = bob.client.say(&Target::from(channel), long).await;
    sent.expect("sent");
    for (reader, own) in [(&mut *ada, false), (&mut *bob, true)] {
        let mut text = String::new();
        let mut lines = 0;
        while text.len() < long.len() {
            let message = message(reader, |message| message.own == own).await;
            assert_eq!(message.channel.as_ref(), Some(channel));
            assert_eq!(message.from.name, "bob");
            assert_eq!(message.time.is_some(), offers.server_time, "{message:?}");
            text.push_str(&message.text);
            lines += 1;
        }
        assert_eq!(text, long);
        assert!(lines > 3, "the text went in {lines} lines");
    }

    let to_bob = Target::from(name("bob"));
    ada.client
        .say(&to_bob, ":) a colon in front, and ünïcödé")
        .await
        .expect("sent");
    let whispered = message(bob, |message| !message.own).await;
    assert_eq!(whispered.text, ":) a colon in front, and ünïcödé");
    assert_eq!(whispered.channel, None);
    ada.client
        .action(&Target::from(channel), "waves")
        .await
        .expect("sent");
    let waved = message(bob, |message| !message.own).await;
    assert_eq!((waved.kind, &*waved.text), (ChatKind::Action, "waves"));

    let away = Text::new("at tea").expect("a text");
    bob.client.set_away(Some(away)).await.expect("away");
    let whois = ada.client.whois(&name("bob")).await.expect("an answer");
    let text = whois.and_then(|whois| whois.away);
    assert_eq!(text.as_deref(), Some("at tea"));
    bob.client.set_away(None).await.expect("back");
}

/// Ranks, what they are needed for, and a kick.
async fn rule(ada: &mut User, bob: &mut User, channel: &ChannelName) {
    let refused = bob.client.kick(channel, &name("ada"), None).await;
    assert!(
        matches!(refused, Err(RequestError::Refused(_))),
        "{refused:?}"
    );

    let target = Target::from(channel);
    let voice = Word::new("+v").expect("a word");
    let params = [Word::from(name("bob"))];
    let set = ada.client.set_mode(&target, &voice, &params).await;
    set.expect("the operator may");
    bob.wait_irc("to be given a voice", |event| match event {
        Event::RankChanged { nick, symbols, .. } => {
            (*nick == "bob" && symbols == "+").then_some(())
        }
        _ => None,
    })
    .await;

    bob.client
        .set_nick(&name("robert"))
        .await
        .expect("it is free");
    let reason = Text::new("enough for today").expect("a text");
    let kicked = ada
        .client
        .kick(channel, &name("robert"), Some(reason))
        .await;
    kicked.expect("the operator may");
    let reason = bob
        .wait_irc("to be kicked", |event| match event {
            Event::Kicked { own, reason, .. } => own.then(|| reason.clone()),
            _ => None,
        })
        .await;
    assert_eq!(reason.as_deref(), Some("enough for today"));
    let outside = bob.client.topic(channel).await;
    // Some servers tell the topic to anyone, some refuse.
    assert!(matches!(outside, Ok(_) | Err(RequestError::Refused(_))));
    bob.client.join(channel, None).await.expect("he may return");
}

/// A connection that is cut: the client comes back, and is where it was.
async fn leave_and_return<N: TcpConnect + Clone>(
    ada: &mut User,
    network: &N,
    server: &Endpoint,
    channel: &ChannelName,
) {
    let target = std::net::SocketAddr::from(([127, 0, 0, 1], server.port()));
    let proxy = Proxy::start(target).await.expect("a proxy");
    let through = Endpoint::new(server.host().clone(), proxy.address().port());
    let mut wanted = config("carol");
    let reconnect = wanted.connection.reconnect.as_mut().expect("it reconnects");
    reconnect.first_delay = Duration::from_millis(50);
    wanted.session.regain_interval = Duration::from_millis(200);
    let mut carol = User::register(network.clone(), &through, wanted).await;
    carol.client.join(channel, None).await.expect("entered");

    proxy.cut();
    let retry = carol
        .wait("for the cut to be seen", |event| match event {
            ClientEvent::Status(Status::Disconnected { retry_in, .. }) => Some(*retry_in),
            _ => None,
        })
        .await;
    assert!(retry.is_some_and(|delay| delay < LONG));
    let lost = carol.client.say(&channel.into(), "lost?").await;
    assert!(lost.is_err(), "nothing is sent where nobody hears it");
    let (nick, _) = carol.registered().await;
    assert_eq!(nick, "carol");
    carol
        .wait_irc("to be in the channel again", |event| match event {
            Event::Joined {
                channel: entered,
                own,
                ..
            } => (*own && entered == channel).then_some(()),
            _ => None,
        })
        .await;
    assert_eq!(proxy.connections(), 2);

    // Others saw her go and come.
    ada.wait_irc("for carol's end", |event| match event {
        Event::Quit { nick, .. } => (*nick == "carol").then_some(()),
        _ => None,
    })
    .await;
    ada.wait_irc("for carol's return", |event| match event {
        Event::Joined { nick, .. } => (*nick == "carol").then_some(()),
        _ => None,
    })
    .await;

    // The next time, someone holds her nickname, as a connection does that the server still believes
    // in, and lets it go after a while.
    let away = Text::new("at tea").expect("a text");
    carol.client.set_away(Some(away)).await.expect("away");
    proxy.refuse(true);
    proxy.cut();
    ada.wait_irc("for carol's end", |event| match event {
        Event::Quit { nick, .. } => (*nick == "carol").then_some(()),
        _ => None,
    })
    .await;
    let ghost = User::register(network.clone(), server, config("carol")).await;
    proxy.refuse(false);
    let (nick, _) = carol.registered().await;
    assert_eq!(nick, "carol_");
    ghost.client.close().await;
    ghost.ended().await.expect("an end in order");
    carol
        .wait_irc("to have her nickname", |event| match event {
            Event::NickChanged { to, own, .. } => (*own && *to == "carol").then_some(()),
            _ => None,
        })
        .await;
    let whois = ada.client.whois(&name("carol")).await.expect("an answer");
    let text = whois.and_then(|whois| whois.away);
    assert_eq!(text.as_deref(), Some("at tea"), "she is where she was");
    carol.client.close().await;
    carol.ended().await.expect("an end in order");
}

/// The end, in order.
async fn part(ada: User, mut bob: User) {
    let reason = Text::new("good night").expect("a text");
    ada.client.close_with(reason).await;
    ada.ended().await.expect("an end in order");
    let reason = bob
        .wait_irc("for ada's end", |event| match event {
            Event::Quit { nick, reason, .. } => (*nick == "ada").then(|| reason.clone()),
            _ => None,
        })
        .await;
    // Servers add to it, or put it in quotes.
    assert!(reason.is_some_and(|reason| reason.contains("good night")));
    bob.client.close().await;
    bob.ended().await.expect("an end in order");
}

/// The next message that passes.
async fn message(user: &mut User, wanted: impl Fn(&ChatMessage) -> bool) -> ChatMessage {
    user.wait_irc("for a message", |event| match event {
        Event::Message(message) => wanted(message).then(|| message.clone()),
        _ => None,
    })
    .await
}
