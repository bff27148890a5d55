//! Certificates: obtained, renewed, refused.

use std::sync::Arc;
use std::time::Duration;

use super::operator::{Certify, Operator};
use super::pki::Pki;
use super::resources::trust_with_issuer;
use super::{Folder, IDENTITY, config, soon};
use crate::handle::Control;
use crate::wire::config::client_message::Kind;

type Spoil = fn(&mut Certify);

#[tokio::test]
async fn a_certificate_is_renewed_before_its_end_with_a_new_key() {
    let (folder, pki) = (Folder::new("renew"), Arc::new(Pki::new()));
    let operator = Operator::start(&pki).await;
    operator.certify.lock().unwrap().lifetime = Duration::from_secs(5);
    let control = Control::start(config(&operator, &folder, &pki));
    let credentials = control.credentials();
    soon("first certificate", || credentials.borrow().is_some()).await;
    let first = credentials.borrow().clone().unwrap();
    assert_eq!(&*first.identity, IDENTITY);
    assert_eq!(first.trust_domains.len(), 1);
    assert_eq!(first.trust_domains[0].trust_domain, "td.example");
    assert_eq!(first.trust_domains[0].anchors[0].to_vec(), pki.root_der());

    folder.write("token", "token-2");
    soon("renewed", || !Arc::ptr_eq(&first, credentials.borrow().as_ref().unwrap())).await;
    let second = credentials.borrow().clone().unwrap();
    assert!(std::time::SystemTime::now() < first.not_after, "before the end of the first");
    assert_ne!(first.certified_key.cert[0], second.certified_key.cert[0]);
    let public = |key: &rustls::sign::CertifiedKey| key.key.public_key().unwrap().to_vec();
    assert_ne!(public(&first.certified_key), public(&second.certified_key));
    assert_eq!(operator.certify.lock().unwrap().tokens[..2], ["token-1", "token-2"]);
}

#[tokio::test]
async fn a_failed_renewal_keeps_the_certificate_in_hand_and_is_tried_again() {
    let (folder, pki) = (Folder::new("retry"), Arc::new(Pki::new()));
    let operator = Operator::start(&pki).await;
    operator.certify.lock().unwrap().lifetime = Duration::from_secs(4);
    let control = Control::start(config(&operator, &folder, &pki));
    let credentials = control.credentials();
    soon("first certificate", || credentials.borrow().is_some()).await;
    let first = credentials.borrow().clone().unwrap();
    operator.certify.lock().unwrap().refuse = true;
    soon("two failures", || control.stats().certificate_failures >= 2).await;
    assert!(Arc::ptr_eq(&first, credentials.borrow().as_ref().unwrap()));
    assert!(control.stats().last_error.contains("no issuer yet"), "{}", control.stats().last_error);
    operator.certify.lock().unwrap().refuse = false;
    soon("renewed", || control.stats().certificates >= 2).await;
}

#[tokio::test]
async fn a_certificate_that_peers_would_refuse_is_not_taken() {
    let pki = Arc::new(Pki::new());
    let cases: [(&str, Spoil); 3] = [
        ("it is for another key", |plan| plan.other_key = true),
        ("it names", |plan| plan.identity = "spiffe://td.example/ns/demo/sa/other".to_owned()),
        ("it does not chain", |plan| plan.issuer = Arc::new(Pki::new())),
    ];
    for (reason, spoil) in cases {
        let folder = Folder::new(&format!("spoiled-{}", reason.len()));
        let operator = Operator::start(&pki).await;
        spoil(&mut operator.certify.lock().unwrap());
        let control = Control::start(config(&operator, &folder, &pki));
        soon(reason, || control.stats().certificate_failures >= 1 && control.stats().last_error.contains(reason)).await;
        assert!(control.credentials().borrow().is_none());

        // Control: once the answer is right, it is taken.
        {
            let mut plan = operator.certify.lock().unwrap();
            plan.other_key = false;
            plan.identity = IDENTITY.to_owned();
            plan.issuer = Arc::clone(&pki);
        }
        soon("good certificate", || control.credentials().borrow().is_some()).await;
    }
}

/// The next certificate that is told, past everything else.
async fn told(link: &mut super::operator::Link) -> String {
    loop {
        if let Kind::Leaf(leaf) = link.next().await {
            assert!(leaf.not_after > 0 && leaf.clock_ms > 0);
            return leaf.generation;
        }
    }
}

#[tokio::test]
async fn another_issuer_is_followed_within_the_time_that_the_operator_allows_and_told() {
    let (folder, pki) = (Folder::new("superseded"), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    operator.certify.lock().unwrap().generation = "first".to_owned();
    let control = Control::start(config(&operator, &folder, &pki));
    let mut link = operator.link().await;
    assert_eq!(told(&mut link).await, "first");

    let roots = [pki.root_der()];
    let soon_after = Duration::from_millis(50);
    link.upsert(1, "trust", "t1", trust_with_issuer(&roots, "first", soon_after)).await;
    // An abort: by the time the certificate would be asked for, the first issuer signs again.
    link.upsert(2, "trust", "t2", trust_with_issuer(&roots, "second", soon_after)).await;
    link.upsert(3, "trust", "t3", trust_with_issuer(&roots, "first", soon_after)).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(control.stats().certificates, 1);

    operator.certify.lock().unwrap().generation = "second".to_owned();
    link.upsert(4, "trust", "t4", trust_with_issuer(&roots, "second", soon_after)).await;
    assert_eq!(told(&mut link).await, "second");
    assert_eq!(control.stats().certificates, 2);

    // A new stream is told anew: the operator may be another one.
    drop(link);
    operator.stop().await;
    operator.resume().await;
    let mut link = operator.link().await;
    link.hello().await;
    assert_eq!(told(&mut link).await, "second");
}
