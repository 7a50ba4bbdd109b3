//! What a load balancer, and whoever watches the relay, asks it.

use super::{Diagnosis, Doctor};
use crate::config::{HEALTH_PATH, READY_PATH};

impl Doctor {
    /// What a balancer asks. A proxy may keep it for itself.
    pub(super) async fn health(&self, found: &mut Diagnosis) {
        for path in [HEALTH_PATH, READY_PATH] {
            let mut request = self
                .suite
                .request()
                .without("Upgrade")
                .set("Connection", "close");
            request.path = path.into();
            match self.step(self.suite.ask(&request)).await {
                Ok((_, answer)) if answer.status == 200 => found.well(format!("{path} answers 200")),
                Ok((_, answer)) if answer.status == 503 && path == READY_PATH => {
                    found.doubtful(format!("{path} answers 503: the relay is about to end"));
                }
                Ok((_, answer)) => found.doubtful(format!(
                    "{path} answers {}: a proxy before the relay keeps it for itself, or this is no jackfield-relayd",
                    answer.status
                )),
                Err(why) => found.doubtful(format!("{path}: {why}")),
            }
        }
    }
}
