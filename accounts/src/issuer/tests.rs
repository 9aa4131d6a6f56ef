//! The signing key's file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Barrier;
use std::thread;

use super::*;
use crate::tests::external_users::HostKey;
use crate::tests::fixture::{TempDir, request};

#[test]
fn the_first_start_makes_a_key_only_its_owner_can_read() {
    let dir = TempDir::new();
    let data_dir = dir.path().join("not/yet/there");
    Issuer::open(&data_dir).unwrap();
    let metadata = fs::metadata(data_dir.join(FILE_NAME)).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let names: Vec<_> = fs::read_dir(&data_dir)
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert_eq!(names, [FILE_NAME], "nothing is left lying about");
}

#[test]
fn the_next_start_opens_the_same_key() {
    let dir = TempDir::new();
    let first = Issuer::open(dir.path()).unwrap();
    let second = Issuer::open(dir.path()).unwrap();
    assert_eq!(first.key_id, second.key_id);
    assert_eq!(first.signing.inner(), second.signing.inner());
}

#[test]
fn of_processes_that_start_at_once_all_open_the_same_key() {
    for _ in 0..20 {
        let dir = TempDir::new();
        let start = Barrier::new(4);
        let open = || {
            start.wait();
            Issuer::open(dir.path()).unwrap().key_id
        };
        let key_ids: Vec<_> = thread::scope(|scope| {
            let openers: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            openers
                .into_iter()
                .map(|opener| opener.join().unwrap())
                .collect()
        });
        assert!(
            key_ids.iter().all(|key_id| *key_id == key_ids[0]),
            "{key_ids:?}"
        );
    }
}

#[test]
fn a_key_made_elsewhere_is_taken_and_anything_else_is_named() {
    let dir = TempDir::new();
    dir.file(FILE_NAME, HostKey::ed25519().private_pem);
    Issuer::open(dir.path()).unwrap().mint(&request("u"));
    let (p256, public) = (HostKey::p256().private_pem, HostKey::ed25519().public_pem);
    for bad in ["", "no key", &p256, &public] {
        dir.file(FILE_NAME, bad);
        let error = Issuer::open(dir.path()).err().unwrap();
        assert!(
            matches!(&error, KeyError::NoKey { path } if path.ends_with(FILE_NAME)),
            "{error}"
        );
        assert_eq!(
            fs::read_to_string(dir.path().join(FILE_NAME)).unwrap(),
            bad,
            "left as it was"
        );
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = TempDir::new();
    let file = dir.file("file", "");
    let error = Issuer::open(&Path::new(&file).join("data")).err().unwrap();
    assert!(matches!(error, KeyError::File { .. }), "{error}");
}

#[test]
fn a_keys_name_is_its_thumbprint() {
    // The key and its thumbprint of RFC 8037, appendix A.3.
    let public = URL_SAFE_NO_PAD
        .decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
        .unwrap();
    assert_eq!(
        thumbprint(&public),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}
