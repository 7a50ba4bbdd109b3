//! Publishing: what is on its way, and who waits for it.

use jackfield_socket::time;

use super::{Asked, Mqtt};
use crate::client::action::Done;
use crate::codec::QoS;
use crate::core::{Message, Reply, Session};

impl Mqtt {
    pub(super) fn publish(
        &mut self,
        core: &mut Session,
        message: Message,
        queued: Option<Done<()>>,
        done: Done<Reply>,
    ) {
        if done.is_closed() {
            return;
        }
        let qos = message.qos;
        match (core.publish(time::now(), message), queued) {
            (Ok(id), queued) => {
                self.asked.insert(id, Asked::Client(done));
                match queued {
                    Some(queued) if qos > QoS::AtMostOnce => {
                        self.when_durable(queued);
                    }
                    Some(queued) => {
                        let _ = queued.send(Ok(()));
                    }
                    None => {}
                }
            }
            (Err(error), Some(queued)) => {
                let _ = queued.send(Err(error));
            }
            (Err(error), None) => {
                let _ = done.send(Err(error));
            }
        }
    }

    /// Answers when the changes that the session has just made are durable.
    fn when_durable(&mut self, done: Done<()>) {
        if self.store.is_some() {
            self.queued.push(done);
        } else {
            let _ = done.send(Ok(()));
        }
    }
}
