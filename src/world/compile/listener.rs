//! What carries a door's messages, and the files it proves itself with.

use super::*;
use crate::config::{self, Transport};

/// The path that RFC 8484's examples have, and clients try first.
const DEFAULT_PATH: &str = "/dns-query";

impl Compiler<'_> {
    /// What a listener carries. `None` when a mistake was told.
    pub(super) fn carries(&mut self, written: &config::Listener) -> Option<Carries> {
        let has = |transport| written.transports.contains(&transport);
        let (udp, tcp, dot, doh) =
            (has(Transport::Udp), has(Transport::Tcp), has(Transport::Dot), has(Transport::Doh));
        match (udp || tcp, dot, doh) {
            (false, false, false) => {
                let message = format!("listener {} serves no transport", written.address.value().0);
                self.report.error(Code::Listener, written.address.mark(), message);
                None
            }
            (true, false, false) => {
                self.refuse_keys(written, "is for plain DNS");
                Some(Carries::Plain { udp, tcp })
            }
            (false, true, false) => {
                self.refuse_path(written, "is for `dot`");
                self.tls_files(written).map(Carries::Dot)
            }
            (false, false, true) => {
                let path = self.http_path(written);
                self.tls_files(written).map(|tls| Carries::Doh { tls, path })
            }
            _ => {
                let address = written.address.value().0;
                let message = format!(
                    "listener {address} mixes plain DNS (`udp`, `tcp`), `dot` and `doh`: one of them only"
                );
                let error = self.report.error(Code::Listener, written.address.mark(), message);
                error.help("write a [[listener]] for each, every one on a port of its own");
                None
            }
        }
    }

    fn refuse_keys(&mut self, written: &config::Listener, what: &str) {
        for (key, value) in [("certificate", &written.certificate), ("key", &written.key)] {
            self.refuse(written, key, value.as_ref(), what);
        }
        self.refuse_path(written, what);
    }

    fn refuse_path(&mut self, written: &config::Listener, what: &str) {
        self.refuse(written, "path", written.path.as_ref(), what);
    }

    fn refuse(&mut self, written: &config::Listener, key: &str, value: Option<&Marked<String>>, what: &str) {
        let Some(value) = value else { return };
        let message = format!("listener {} {what}, which has no `{key}`", written.address.value().0);
        let error = self.report.error(Code::Listener, value.mark(), message);
        error.help(match key {
            "path" => "leave it out, or write `transports = [\"doh\"]`",
            _ => "leave it out, or write `transports = [\"dot\"]` or `transports = [\"doh\"]`",
        });
    }

    fn tls_files(&mut self, written: &config::Listener) -> Option<TlsFiles> {
        let certificate = self.pem_file(written, "certificate", written.certificate.as_ref());
        let key = self.pem_file(written, "key", written.key.as_ref());
        Some(TlsFiles { certificate: certificate?, key: key? })
    }

    fn pem_file(
        &mut self,
        written: &config::Listener,
        key: &str,
        named: Option<&Marked<String>>,
    ) -> Option<PemFile> {
        let Some(named) = named else {
            let message = format!("listener {} has no `{key}`", written.address.value().0);
            let error = self.report.error(Code::MissingKey, written.address.mark(), message);
            error.help(format!("write `{key} = \"{key}.pem\"`, a file in PEM form"));
            return None;
        };
        let (path, text) = self.named_file(named)?;
        Some(PemFile { path, text: text.into(), mark: named.mark() })
    }

    fn http_path(&mut self, written: &config::Listener) -> Arc<str> {
        let Some(path) = &written.path else { return DEFAULT_PATH.into() };
        let text = path.value();
        let visible = |c: char| c.is_ascii_graphic() && !"?#{}".contains(c);
        if !text.starts_with('/') || !text.chars().all(visible) {
            let message = format!("`{text}` is no path of a URL: it begins with `/` and has no query");
            self.report.error(Code::Listener, path.mark(), message);
        }
        text.as_str().into()
    }
}
