//! Messages: one that is shown, and the answer to it.

use jackfield_mail::compose::{Draft, ReplyTo, message_id};
use jackfield_mail::message::Message;
use jackfield_mail::{Address, Date};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::page::{show, shown, text};

/// Shows a message.
#[wasm_bindgen]
pub fn read() {
    let message = Message::parse(text());
    show(&message.subject().unwrap_or_default());
    for address in message.from().iter().chain(&message.to()) {
        show(&address.to_string());
    }
    show(&message.text());
    show(&message.html().unwrap_or_default());
    for part in message.attachments() {
        show(part.name.as_deref().unwrap_or_default());
        show(&String::from_utf8_lossy(&message.content(part)));
    }
}

/// Composes an answer.
#[wasm_bindgen]
pub fn answer(random: u32, now: i64) {
    let message = Message::parse(text());
    let me = [Address::named(text(), text())];
    let mut draft = Draft::reply(&message, ReplyTo::All, &me);
    draft.text = Some(text());
    let id = message_id([random as u8; 16], &text());
    let Some(composed) = shown(draft.compose(&id, Date::new(now, 60))) else {
        return;
    };
    show(&composed.sender);
    let bytes = composed.into_bytes().unwrap_or_default();
    show(&String::from_utf8_lossy(&bytes));
}
