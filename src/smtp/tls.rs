//! Whom a relay's certificate is believed: the system's roots, and those of
//! `KEYCTL_CA_FILE`.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

/// Returns the client's side of TLS 1.2 and 1.3. Reading the system's roots
/// takes milliseconds: once for all conversations.
///
/// # Errors
/// What is wrong with the roots, for people.
pub(super) fn client(extra_roots: &[Vec<u8>]) -> Result<Arc<ClientConfig>, String> {
    let unusable = |error: rustls::Error| format!("cannot prepare TLS: {error}");
    let mut roots = Vec::new();
    for bundle in extra_roots {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bundle).collect();
        roots.extend(
            certificates.map_err(|_| "the file of KEYCTL_CA_FILE holds no PEM certificate".to_owned())?,
        );
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(unusable)?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(client))
}
