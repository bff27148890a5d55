//! Where a connection of bytes goes, and what is counted of it.

use std::rc::Rc;

use super::Target;
use crate::balance::Picked;
use crate::metrics::{OpenConnection, TcpSeries};

/// A decision about one connection; the endpoint counts as busy for as long as it lives.
pub struct ConnectionPlan {
    /// To dial.
    pub target: Target,
    picked: Option<Picked>,
    open: OpenConnection,
}

impl ConnectionPlan {
    pub(super) fn new(target: Target, picked: Option<Picked>, series: Rc<TcpSeries>) -> Self {
        Self { target, picked, open: series.open() }
    }

    /// The dial succeeded: how long it took is what the balancer learns.
    pub fn connected(&mut self) {
        if let Some(picked) = &self.picked {
            picked.connected();
        }
    }

    /// The dial failed.
    pub fn failed(mut self, errno: &'static str) {
        self.open.set_errno(errno);
        if let Some(picked) = self.picked.take() {
            picked.connect_failed();
        }
    }

    /// The open connection of the metrics.
    #[must_use]
    pub fn open(&self) -> &OpenConnection {
        &self.open
    }
}
