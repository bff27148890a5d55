//! Where a connection of bytes goes, and what is counted of it.

use std::rc::Rc;

use super::Target;
use crate::balance::Picked;
use crate::metrics::TcpSeries;

/// A decision about one connection; the endpoint counts as busy for as long as it lives.
pub struct ConnectionPlan {
    /// To dial.
    pub target: Target,
    picked: Option<Picked>,
    series: Rc<TcpSeries>,
}

impl ConnectionPlan {
    pub(super) fn new(target: Target, picked: Option<Picked>, series: Rc<TcpSeries>) -> Self {
        Self { target, picked, series }
    }

    /// The dial succeeded.
    pub fn connected(&mut self) {
        if let Some(picked) = &mut self.picked {
            picked.established();
        }
    }

    /// The dial failed; it is counted as a connection that ended at once.
    pub fn failed(mut self, errno: &'static str) {
        self.series.open().set_errno(errno);
        if let Some(picked) = self.picked.take() {
            picked.connect_failed();
        }
    }

    /// What the connection to the target is counted under.
    #[must_use]
    pub fn series(&self) -> &Rc<TcpSeries> {
        &self.series
    }
}
