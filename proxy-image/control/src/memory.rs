//! A handle without an operator, fed by hand: tests of the data path and benches.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use weft_policy::model::{Endpoint, Outbound, Workload};

use crate::handle::{Control, Shared};
use crate::store::{EndpointsChange, Limits, Outbox, Store};
use crate::trust::Trust;
use crate::types::Credentials;

/// Plays the operator for `Control::memory`. The same rules hold as on the stream: an outbound comes into force when every endpoints
/// resource that it names is set.
pub struct ControlSetter {
    control: Control,
}

impl Control {
    /// A handle that knows what its setter is told; everything else is unknown at once.
    #[must_use]
    pub fn memory() -> (Self, ControlSetter) {
        let control = Self::without_tasks(Shared::new(Limits::default(), Trust::default(), true));
        (control.clone(), ControlSetter { control })
    }
}

impl ControlSetter {
    /// Sets what this pod is.
    pub fn set_workload(&self, workload: Workload) {
        self.change(|store| store.set_workload(Arc::new(workload), "memory".to_owned(), 0));
    }

    /// Sets identity and roots.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.control.shared().credentials.send_replace(Some(Arc::new(credentials)));
    }

    /// Sets where connections to `address` go.
    pub fn set_outbound(&self, address: SocketAddr, outbound: Outbound) {
        self.change(|store| {
            drop(store.outbound(address, Instant::now()));
            store.apply_outbound(address, "memory".to_owned(), 0, outbound);
        });
    }

    /// Makes an address unknown again.
    pub fn remove_outbound(&self, address: SocketAddr) {
        self.change(|store| store.remove_outbound(address, 0));
    }

    /// Sets all endpoints of a resource.
    pub fn set_endpoints(&self, name: &str, endpoints: Vec<Endpoint>) {
        self.change(|store| store.apply_endpoints(name, "memory".to_owned(), 0, EndpointsChange::Full(endpoints)));
    }

    /// Sets what `Control::connected` says.
    pub fn set_connected(&self, connected: bool) {
        self.control.shared().connected.send_replace(connected);
    }

    fn change(&self, change: impl FnOnce(&mut Store)) {
        let mut store = self.control.shared().store();
        change(&mut store);
        // Nobody is told.
        store.outbox = Outbox::default();
    }
}
