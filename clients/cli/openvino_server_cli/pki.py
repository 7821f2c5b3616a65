"""A development PKI: one CA, and certificates for the tiers and for a client.

What is there and still good is kept. A certificate is made anew when it is near its end, when its
CA or its names changed, or when its key does not fit.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from openvino_server_cli.errors import Failure
from openvino_server_cli.files import locked, write_atomically

LOOPBACK = ("localhost", "127.0.0.1", "::1")

_CA_LIFE = timedelta(days=3650)
_LEAF_LIFE = timedelta(days=397)
_NEAR_END = timedelta(days=30)
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Leaf:
    """A certificate that the CA signs: `STEM.pem` and `STEM-key.pem`.

    Attributes:
        stem: The files' name.
        names: DNS names and IP addresses that it is for.
        usage: What it may be used for.

    """

    stem: str
    names: tuple[str, ...]
    usage: x509.ObjectIdentifier


@dataclass(frozen=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def leaves(server_names: Sequence[str] = ()) -> tuple[Leaf, ...]:
    """List the certificates, the servers' with names beside loopback's."""
    servers = tuple(dict.fromkeys((*LOOPBACK, *server_names)))
    server, client = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
    return (
        Leaf("service", servers, server),
        Leaf("gateway-server", servers, server),
        Leaf("gateway", ("gateway",), client),
        Leaf("client", ("client",), client),
    )


def create(folder: Path, server_names: Sequence[str] = ()) -> dict[str, bool]:
    """Make what is missing or no longer good.

    Args:
        folder: Where the files are; made if it is not there.
        server_names: DNS names and IP addresses of the servers, beside loopback's.

    Returns:
        For `ca` and each certificate, whether it was made now.

    Raises:
        Failure: The CA's key is missing, so nothing can be signed, though something must be.

    """
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    with locked(folder / ".lock"):
        authority, made = _authority(folder, now)
        results = {"ca": made}
        for leaf in leaves(server_names):
            results[leaf.stem] = not _is_good(folder, leaf, authority.certificate, now)
            if results[leaf.stem]:
                _issue(folder, leaf, authority, now)
    return results


def _authority(folder: Path, now: datetime) -> tuple[_Authority, bool]:
    certificate, key = _load(folder, "ca")
    if certificate is not None and not (folder / "ca-key.pem").exists():
        raise Failure(
            f"{folder}/ca.pem is there and its key ca-key.pem is not; put the key back, or remove "
            "ca.pem to have a new CA"
        )
    if certificate and key and _fits(certificate, key) and _lasts(certificate, now):
        return _Authority(certificate, key), False
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("OpenVINO-Server development CA")
    certificate = (
        _builder(name, name, key, now, _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(folder, "ca", certificate, key)
    return _Authority(certificate, key), True


def _issue(folder: Path, leaf: Leaf, authority: _Authority, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    ski = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    aki = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski)
    life = min(_LEAF_LIFE, issuer.not_valid_after_utc - now)
    certificate = (
        _builder(_name(leaf.stem), issuer.subject, key, now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([leaf.usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternatives(leaf)), critical=False)
        .add_extension(aki, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    _write(folder, leaf.stem, certificate, key)


def _is_good(folder: Path, leaf: Leaf, issuer: x509.Certificate, now: datetime) -> bool:
    certificate, key = _load(folder, leaf.stem)
    if certificate is None or key is None or not _fits(certificate, key):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return _lasts(certificate, now) and set(_alternatives(leaf)) <= set(names)


def _lasts(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - _NEAR_END


def _fits(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
    return certificate.public_key() == key.public_key()


def _load(
    folder: Path, stem: str
) -> tuple[x509.Certificate | None, ec.EllipticCurvePrivateKey | None]:
    """Read a certificate and its key; what is missing or damaged is None."""
    certificate_file, key_file = folder / f"{stem}.pem", folder / f"{stem}-key.pem"
    certificate = key = None
    try:
        if certificate_file.exists():
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        if key_file.exists():
            key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except ValueError:
        return None, None
    return certificate, key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _write(
    folder: Path, stem: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    """Write the key first: after a crash between the two they don't fit and are made anew."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_atomically(folder / f"{stem}-key.pem", pem, 0o600)
    write_atomically(
        folder / f"{stem}.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternatives(leaf: Leaf) -> list[x509.GeneralName]:
    return [_alternative(name) for name in leaf.names]


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise Failure(f"{name!r} can't be a name in a certificate: {error}") from error


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
