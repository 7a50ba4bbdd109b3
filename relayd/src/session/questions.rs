//! Questions about the new peers of a bound datagram socket, while they are being asked.
//!
//! The datagram that is the first to a peer waits for the answer. Those that follow it until then are
//! dropped, and so is what is for one more new peer when [`MAX_QUESTIONS`] are asked about; the client hears
//! how many were. What is for others goes on meanwhile.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use jackfield_relay_wire::ReceivedDatagram;

use super::Context;
use crate::ask::{Ask, Doing, No, Question};
use crate::policy::Transport;
use crate::record::{Answered, Basis, Who};

/// How many peers of a socket are asked about at a time, each with a datagram that waits.
const MAX_QUESTIONS: usize = 8;

#[derive(Default)]
pub(super) struct Questions(Vec<Running>);

/// One question. Dropping it ends it.
struct Running {
    to: SocketAddr,
    datagram: ReceivedDatagram,
    basis: Basis,
    answer: Pin<Box<dyn Future<Output = Result<Answered, No>> + Send>>,
}

/// What was said about a peer, and what waits to be sent there.
pub(super) struct Answer {
    pub(super) to: SocketAddr,
    pub(super) datagram: ReceivedDatagram,
    /// Why the rules allow it.
    pub(super) basis: Basis,
    pub(super) said: Result<Answered, No>,
}

impl Questions {
    /// Whether it can be asked about this peer: he isn't being asked about, and there are not too many.
    pub(super) fn has_room_for(&self, to: SocketAddr) -> bool {
        self.0.len() < MAX_QUESTIONS && self.0.iter().all(|running| running.to != to)
    }

    /// Asks whether this may go there, which the rules allow as `basis` has it. The answer comes from [`poll`](Self::poll), which has to be called
    /// for it to begin.
    pub(super) fn ask(
        &mut self,
        ask: &Ask,
        context: &Context,
        who: &Arc<Who>,
        to: SocketAddr,
        datagram: ReceivedDatagram,
        basis: Basis,
    ) {
        let (ask, context, who) = (ask.clone(), context.clone(), Arc::clone(who));
        let question = Question::new(Doing::Send, Transport::Udp, &to.into());
        self.0.push(Running {
            to,
            datagram,
            basis,
            answer: Box::pin(async move { ask.ask(&context, &who, &question).await }),
        });
    }

    /// The next answer; pending also where nothing is asked.
    pub(super) fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Answer> {
        for index in 0..self.0.len() {
            let Poll::Ready(said) = self.0[index].answer.as_mut().poll(cx) else {
                continue;
            };
            let running = self.0.swap_remove(index);
            return Poll::Ready(Answer {
                to: running.to,
                datagram: running.datagram,
                basis: running.basis,
                said,
            });
        }
        Poll::Pending
    }
}
