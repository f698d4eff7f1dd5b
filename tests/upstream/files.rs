//! The files configured for a server over TLS, as loaded by the program.

use std::fs;
use std::path::Path;

use hickory_proto::op::ResponseCode;

use crate::common::Client;
use crate::common::process::{DaemonProcess, plustwo, stderr};
use crate::encrypted::{EncryptedServer, Identity, NAME, PROTOCOLS, Protocol, authority};

/// A configuration that forwards all queries to one server.
fn configuration(server: &str) -> String {
    format!(
        "[server]\nadmin = \"127.0.0.1:0\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
         [[site]]\nid = \"site-a\"\ncidr = [\"127.0.0.0/8\"]\n[internet]\nmode = \"forward\"\nservers = [\n{server},\n]\n"
    )
}

/// Writes the certificate and the key of an identity to files.
fn write(dir: &Path, name: &str, identity: &Identity) {
    fs::write(dir.join(format!("{name}.pem")), &*identity.pem().text).unwrap();
    fs::write(dir.join(format!("{name}.key.pem")), identity.key.serialize_pem()).unwrap();
}

#[test]
fn check_reports_unusable_files_at_their_key() {
    let dir = tempfile::tempdir().unwrap();
    let corp = authority("Corp CA");
    write(dir.path(), "one", &Identity::signed(&[NAME], &corp, |_| {}));
    write(dir.path(), "two", &Identity::signed(&[NAME], &corp, |_| {}));
    let begin = "-----BEGIN CERTIFICATE-----\n";
    for (name, text) in [
        ("cut.pem", format!("{begin}AAAA\n")),
        ("odd.pem", format!("{begin}!!!!\n-----END CERTIFICATE-----\n")),
        ("bad.pem", format!("{begin}AAAA\n-----END CERTIFICATE-----\n")),
        ("empty.pem", String::new()),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    fs::write(dir.path().join("der.pem"), [0x30, 0x82, 0xff, 0xfe]).unwrap();
    let file = dir.path().join("plustwo.toml");
    let check = |settings: &str| {
        let server = format!("{{ address = \"tls://192.0.2.53#{NAME}\", {settings} }}");
        fs::write(&file, configuration(&server)).unwrap();
        let output = plustwo(&["check", "--config", file.to_str().unwrap()]);
        (output.status.code(), stderr(&output))
    };
    for (settings, location, message) in [
        ("ca = \"none.pem\"", ":11:50: error[unreadable-file]", "none.pem`: No such file"),
        ("ca = \"der.pem\"", ":11:50: error[unreadable-file]", "der.pem`"),
        ("ca = \"empty.pem\"", ":11:50: error[certificate]", "empty.pem` contains no certificate"),
        ("ca = \"one.key.pem\"", ":11:50: error[certificate]", "one.key.pem` contains no certificate"),
        ("ca = \"cut.pem\"", ":11:50: error[certificate]", "is not a PEM file: a section has no END line"),
        (
            "ca = \"odd.pem\"",
            ":11:50: error[certificate]",
            "is not a PEM file: a section is not valid Base64",
        ),
        (
            "ca = \"bad.pem\"",
            ":11:50: error[certificate]",
            "contains a certificate that cannot be parsed (number 1)",
        ),
        (
            "client_certificate = \"one.pem\", client_key = \"two.key.pem\"",
            ":11:90: error[certificate]",
            "two.key.pem` is not the key of the certificate in",
        ),
        (
            "client_certificate = \"one.pem\", client_key = \"one.pem\"",
            ":11:90: error[certificate]",
            "one.pem` contains no private key",
        ),
        (
            "client_certificate = \"one.key.pem\", client_key = \"one.key.pem\"",
            ":11:66: error[certificate]",
            "one.key.pem` contains no certificate",
        ),
        ("client_certificate = \"one.pem\"", ":11:66: error[missing-key]", "requires `client_key`"),
        ("client_key = \"one.key.pem\"", ":11:58: error[missing-key]", "requires `client_certificate`"),
        ("spki_pin = [\"sha256/AAAA=\"]", ":11:57: error[invalid-value]", "invalid SPKI pin"),
    ] {
        let (status, report) = check(settings);
        assert_eq!(status, Some(2), "{settings}{report}");
        assert!(report.contains(location) && report.contains(message), "{settings}\n{report}");
        assert_eq!(report.matches("error[").count(), 1, "{settings}\n{report}");
        assert!(!report.contains("BEGIN "), "{report}");
    }
    let (status, report) =
        check("ca = \"two.pem\", client_certificate = \"one.pem\", client_key = \"one.key.pem\"");
    assert_eq!(status, Some(0), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_uses_a_replaced_ca() {
    for protocol in PROTOCOLS {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (authority("Old CA"), authority("New CA"));
        let server =
            EncryptedServer::start(protocol, Identity::signed(&[NAME], &new, |_| {}).server_config()).await;
        let (scheme, path) = match protocol {
            Protocol::Dot => ("tls", ""),
            Protocol::Doh => ("https", "/dns-query"),
        };
        let address = format!("{scheme}://{}{path}#{NAME}", server.address);
        let ca = dir.path().join("ca.pem");
        tokio::task::spawn_blocking(move || {
            let file = dir.path().join("plustwo.toml");
            fs::write(&ca, old.pem()).unwrap();
            fs::write(&file, configuration(&format!("{{ address = \"{address}\", ca = \"ca.pem\" }}")))
                .unwrap();
            let mut daemon = DaemonProcess::start(file.to_str().unwrap());
            let client = Client::new(daemon.dns.parse().unwrap(), [127, 0, 0, 1].into());
            let rejected = client.query("a.example", "A");
            assert_eq!(rejected.message.metadata.response_code, ResponseCode::ServFail);
            let texts: Vec<String> = rejected.extended_errors().into_iter().map(|(_, text)| text).collect();
            let expected = format!(
                "{address} has a certificate signed by an authority that is not in its `ca` (CN=New CA)"
            );
            assert!(texts.iter().any(|text| text.contains(&expected)), "{texts:?}");

            fs::write(&ca, new.pem()).unwrap();
            daemon.signal("-HUP");
            let log = daemon.wait_for("Reloaded.");
            assert!(log.iter().any(|line| line.contains("ca=")), "the log contains the changed key: {log:?}");
            let answered = client.query("a.example", "A");
            assert_eq!(answered.message.metadata.response_code, ResponseCode::NoError);
            assert_eq!(answered.addresses().len(), 1);
            daemon.stop();
        })
        .await
        .unwrap();
    }
}
