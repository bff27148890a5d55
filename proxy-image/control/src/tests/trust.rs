//! Whom the proxy believes to be the operator, and which roots it hands on.

use std::sync::Arc;

use super::operator::Operator;
use super::pki::Pki;
use super::resources::{trust, workload};
use super::{Folder, SERVER_NAME, config, ready, soon};
use crate::config::TrustSource;
use crate::handle::Control;

#[tokio::test]
async fn a_server_with_another_name_is_refused() {
    let (folder, pki) = (Folder::new("name"), Arc::new(Pki::new()));
    let mut operator = Operator::start_as(&pki, "someone.else.svc").await;
    let mut config = config(&operator, &folder, &pki);
    let control = Control::start(config.clone());
    soon("refused", || control.stats().failures >= 2).await;
    let error = control.stats().last_error;
    assert!(error.contains(&format!("is not trusted as {SERVER_NAME}")), "{error}");
    assert!(!operator.has_link());
    assert!(operator.certify.lock().unwrap().tokens.is_empty(), "no token is shown to a stranger");
    drop(control);

    // Control: under its own name the same server is believed.
    config.server_name = "someone.else.svc".to_owned();
    let _control = Control::start(config);
    operator.link().await.hello().await;
}

#[tokio::test]
async fn a_server_from_another_root_is_refused_until_the_mounted_file_names_that_root() {
    let (folder, pki, other) = (Folder::new("root"), Arc::new(Pki::new()), Pki::new());
    let mut operator = Operator::start(&pki).await;
    let mut config = config(&operator, &folder, &pki);
    let file = folder.0.join("ca.crt");
    config.trust = TrustSource { pem: Some(other.root_pem()), file: Some(file.clone()) };
    let control = Control::start(config);
    soon("refused", || control.stats().failures >= 2).await;
    assert!(control.stats().last_error.contains("is not trusted"), "{}", control.stats().last_error);
    assert!(!operator.has_link());

    folder.write("ca.crt", &pki.root_pem());
    let mut link = operator.link().await;
    link.hello().await;
    link.upsert(1, "workload", "w1", workload()).await;
    ready(&control).await;
    assert_eq!(control.credentials().borrow().as_ref().unwrap().trust_domains[0].anchors[0].to_vec(), pki.root_der());
}

#[tokio::test]
async fn without_any_root_nothing_is_dialled_and_the_error_says_so() {
    let (folder, pki) = (Folder::new("none"), Arc::new(Pki::new()));
    let operator = Operator::start(&pki).await;
    let mut config = config(&operator, &folder, &pki);
    config.trust = TrustSource::default();
    let control = Control::start(config);
    soon("refused", || control.stats().failures >= 1).await;
    assert!(control.stats().last_error.contains("no trust anchors"), "{}", control.stats().last_error);
}

#[tokio::test]
async fn the_roots_of_the_stream_win_and_an_orphaned_certificate_is_replaced_at_once() {
    let (folder, pki, next) = (Folder::new("rotate"), Arc::new(Pki::new()), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    let control = Control::start(config(&operator, &folder, &pki));
    let mut link = operator.link().await;
    link.hello().await;
    let credentials = control.credentials();
    soon("certificate", || credentials.borrow().is_some()).await;
    let anchors = || -> Vec<Vec<u8>> {
        let credentials = credentials.borrow();
        credentials.as_ref().unwrap().trust_domains[0].anchors.iter().map(|anchor| anchor.to_vec()).collect()
    };

    link.upsert(1, "trust", "t1", trust(&[pki.root_der(), next.root_der()])).await;
    assert_eq!(link.acked().await, 1);
    assert_eq!(anchors(), [pki.root_der(), next.root_der()]);
    assert_eq!(credentials.borrow().as_ref().unwrap().trust_domains[0].mesh, "default");
    assert_eq!(control.stats().certificates, 1, "a wider trust needs no new certificate");

    // The issuer moves to the new root; the old root is dropped although the leaf still hangs on it.
    operator.certify.lock().unwrap().issuer = Arc::clone(&next);
    let before = credentials.borrow().as_ref().unwrap().certified_key.cert[0].clone();
    link.upsert(2, "trust", "t2", trust(&[next.root_der()])).await;
    assert_eq!(link.acked().await, 2);
    assert_eq!(anchors(), [next.root_der()]);
    // The operator itself still shows a certificate of the old root: the renewal is refused until it has moved as well.
    soon("refused", || control.stats().certificate_failures >= 1).await;
    link.upsert(3, "trust", "t3", trust(&[pki.root_der(), next.root_der()])).await;
    assert_eq!(link.acked().await, 3);
    soon("renewed", || credentials.borrow().as_ref().unwrap().certified_key.cert[0] != before).await;

    link.upsert(4, "trust", "t4", trust(&[])).await;
    let crate::wire::config::client_message::Kind::Nack(nack) = link.next().await else { panic!("not a nack") };
    assert_eq!((nack.nonce, nack.resource.as_str()), (4, "trust"));
    assert!(nack.reason.starts_with("domains[0].anchors: not set"), "{}", nack.reason);
    assert_eq!(anchors().len(), 2);
}

#[tokio::test]
async fn roots_of_the_mounted_file_count_beside_those_of_the_stream() {
    let (folder, pki, next) = (Folder::new("beside"), Arc::new(Pki::new()), Pki::new());
    let mut operator = Operator::start(&pki).await;
    let mut config = config(&operator, &folder, &pki);
    let file = folder.0.join("ca.crt");
    folder.write("ca.crt", &pki.root_pem());
    config.trust = TrustSource { pem: None, file: Some(file) };
    let control = Control::start(config);
    let mut link = operator.link().await;
    link.hello().await;
    link.upsert(1, "trust", "t1", trust(&[pki.root_der()])).await;
    link.upsert(2, "workload", "w1", workload()).await;
    ready(&control).await;
    let credentials = control.credentials();
    let anchors = || credentials.borrow().as_ref().unwrap().trust_domains[0].anchors.len();
    assert_eq!(anchors(), 1, "a root that both name counts once");

    // Cut off from the operator while the root is replaced: the file is all that arrives.
    operator.stop().await;
    folder.write("ca.crt", &format!("{}{}", pki.root_pem(), next.root_pem()));
    soon("the next root is believed", || anchors() == 2).await;
}
