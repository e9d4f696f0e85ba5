//! Secure connections: one set of trusted roots for HTTP and WebSocket.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};

/// Trusts the machine's certificates and Mozilla's: the first for private authorities, the second
/// for machines without any, such as an empty container. The work is done once, at the first use.
pub fn config(protocols: &[&str]) -> ClientConfig {
    static CONFIG: OnceLock<ClientConfig> = OnceLock::new();
    let mut config = CONFIG.get_or_init(build).clone();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

fn build() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    // Certificates that cannot be read are not worth failing for: the others are still there.
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has the ciphers of the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
