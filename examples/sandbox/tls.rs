//! A certificate authority made at the start, and a certificate by it for the
//! loopback names.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// What the servers need, and what their clients have to trust.
pub struct Authority {
    pub acceptor: TlsAcceptor,
    pub pem: String,
}

/// Makes the authority and the certificate.
pub fn make() -> anyhow::Result<Authority> {
    let mut root = CertificateParams::new(Vec::<String>::new())?;
    root.distinguished_name.push(DnType::CommonName, "keyctl sandbox authority");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root_key = KeyPair::generate()?;
    let pem = root.self_signed(&root_key)?.pem();
    let issuer = Issuer::new(root, root_key);

    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "localhost");
    leaf.use_authority_key_identifier_extension = true;
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf_key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&leaf_key, &issuer)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));

    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok(Authority { acceptor: TlsAcceptor::from(Arc::new(config)), pem })
}
