//! Requests that wait for their responses (MQTT 5, section 4.10).

use bytes::Bytes;
use jackfield_socket::time;

use super::{Asked, Mqtt};
use crate::client::action::Done;
use crate::core::{Message, Session};
use crate::error::RequestError;

/// How many bytes of correlation data a request carries.
const CORRELATION: usize = 16;

impl Mqtt {
    pub(super) fn call(
        &mut self,
        core: &mut Session,
        mut message: Message,
        response: Done<Message>,
    ) {
        if self.calls.len() >= self.call_capacity {
            self.calls.retain(|_, response| !response.is_closed());
        }
        if self.calls.len() >= self.call_capacity {
            let _ = response.send(Err(RequestError::QueueFull));
            return;
        }
        let mut correlation = [0; CORRELATION];
        if getrandom::fill(&mut correlation).is_err() {
            let without = RequestError::Unsupported("requests without randomness from the system");
            let _ = response.send(Err(without));
            return;
        }
        let correlation = Bytes::copy_from_slice(&correlation);
        message.properties.correlation_data = Some(correlation.clone());
        match core.publish(time::now(), message) {
            Ok(id) => {
                self.asked.insert(id, Asked::Call(correlation.clone()));
                self.calls.insert(correlation, response);
            }
            Err(error) => {
                let _ = response.send(Err(error));
            }
        }
    }
}
