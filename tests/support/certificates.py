"""An authority nobody knows, and certificates it signed."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path

PEM = serialization.Encoding.PEM


@dataclass
class Certificates:
    """
    Files of a session.

    :param authority: who has signed all the others.
    :param server: certificate and key for 127.0.0.1 and some names.
    :param elsewhere: certificate and key for another host.
    :param client: certificate and key of a client.
    """

    authority: Path
    server: tuple[Path, Path]
    elsewhere: tuple[Path, Path]
    client: tuple[Path, Path]

    def context(self, pair=None, *, client_needed=False):
        """Return a server's TLS context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*(pair or self.server))
        if client_needed:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.authority)
        return context


def make_certificates(folder):
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("Nobody's authority", authority_key, None, authority_key)

    def signed(name, *hosts):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key, authority, authority_key, hosts)
        return _write(folder / f"{name}.pem", certificate.public_bytes(PEM)), _write(
            folder / f"{name}.key",
            key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        )

    return Certificates(
        authority=_write(folder / "authority.pem", authority.public_bytes(PEM)),
        server=signed(
            "server", x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("pictory.invalid")
        ),
        elsewhere=signed("elsewhere", x509.DNSName("elsewhere.invalid")),
        client=signed("client"),
    )


def _certificate(name, key, issuer, issuer_key, hosts=()):
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    is_authority = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=is_authority,
                crl_sign=is_authority,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _write(path, content):
    path.write_bytes(content)
    return path
