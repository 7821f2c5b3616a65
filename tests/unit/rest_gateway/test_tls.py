import datetime
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rest_gateway.tls import TlsProblem, channel_credentials, server_context


def write_pair(folder: Path, name: str, password: bytes | None = None) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.pem", folder / f"{name}-key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    )
    return files


def test_tls_1_2_or_later(config: Any, tmp_path: Path) -> None:
    cert, key = write_pair(tmp_path, "a")
    context = server_context(config.model_copy(update={"tls_cert": cert, "tls_key": key}))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_key_of_another_certificate(config: Any, tmp_path: Path) -> None:
    cert, _ = write_pair(tmp_path, "a")
    _, key = write_pair(tmp_path, "b")
    with pytest.raises(TlsProblem, match="tls_cert: "):
        server_context(config.model_copy(update={"tls_cert": cert, "tls_key": key}))


def test_encrypted_key_does_not_ask_for_its_password(config: Any, tmp_path: Path) -> None:
    cert, key = write_pair(tmp_path, "a", b"secret")
    with pytest.raises(TlsProblem, match="tls_cert: "):
        server_context(config.model_copy(update={"tls_cert": cert, "tls_key": key}))


def test_all_problems_of_the_channel_are_told(config: Any) -> None:
    with pytest.raises(TlsProblem) as caught:
        channel_credentials(config)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "service_client_cert",
        "service_ca",
    ]
