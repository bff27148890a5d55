//! A handle without an operator, fed by hand: tests of the data path and benches.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use weft_policy::model::{Balancing, Endpoint, Outbound, Workload};

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
        self.set_balanced(name, endpoints, Balancing::default());
    }

    /// The same with how requests are spread over them.
    pub fn set_balanced(&self, name: &str, endpoints: Vec<Endpoint>, balancing: Balancing) {
        let change = EndpointsChange::Full { endpoints, balancing };
        self.change(|store| store.apply_endpoints(name, "memory".to_owned(), 0, change));
    }

    /// Takes one encoded `weft.config.v1.Upsert` as if it had come on the stream; an outbound is subscribed to first.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn upsert(&self, encoded: &[u8]) -> Result<(), String> {
        let shared = self.control.shared();
        if let Some(address) = crate::apply::outbound_address(encoded) {
            drop(shared.store().outbound(address, Instant::now()));
        }
        let outcome = crate::apply::apply_encoded(shared, encoded);
        shared.store().outbox = Outbox::default();
        outcome
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

#[cfg(test)]
mod tests {
    use weft_policy::model::{Outbound, Workload};

    use crate::handle::Control;
    use crate::tests::resources::{wire_outbound, wire_workload};
    use crate::types::Resolution;

    #[tokio::test]
    async fn the_setter_is_believed_and_the_rest_is_unknown_at_once() {
        let (control, setter) = Control::memory();
        let address = "10.96.0.1:80".parse().unwrap();
        let resolution = control.outbound(address).await.resolution;
        assert!(matches!(*resolution.borrow(), Resolution::Unknown));

        setter.set_outbound(address, Outbound::try_from(wire_outbound(&["v1"])).unwrap());
        assert!(matches!(*resolution.borrow(), Resolution::Unknown), "its endpoints are not held");
        setter.set_endpoints("endpoints/demo/v1:80", Vec::new());
        assert!(matches!(*resolution.borrow(), Resolution::Known(_)));
        let mapped = control.outbound("[::ffff:10.96.0.1]:80".parse().unwrap()).await.resolution;
        assert!(mapped.same_channel(&resolution), "an address has one form");

        assert!(!control.ready());
        setter.set_workload(Workload::try_from(wire_workload()).unwrap());
        assert!(control.workload().borrow().is_some());
        setter.remove_outbound(address);
        assert!(matches!(*resolution.borrow(), Resolution::Unknown));
    }
}
