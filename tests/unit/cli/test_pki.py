from __future__ import annotations

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from openvino_server_cli import pki
from openvino_server_cli.errors import Failure
from typer.testing import CliRunner

STEMS = ("ca", "service", "gateway-server", "gateway", "client")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pki.create(tmp_path / "certs")
    return tmp_path / "certs"


def strict(purpose: ssl.Purpose, ca: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(purpose, cafile=str(ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def handshake(folder: Path, server: str, name: str, client: str | None, ca: Path) -> str:
    """Connect over TLS; give what the server received."""
    serving = strict(ssl.Purpose.CLIENT_AUTH, ca)
    serving.load_cert_chain(folder / f"{server}.pem", folder / f"{server}-key.pem")
    calling = strict(ssl.Purpose.SERVER_AUTH, ca)
    if client:
        serving.verify_mode = ssl.CERT_REQUIRED
        calling.load_cert_chain(folder / f"{client}.pem", folder / f"{client}-key.pem")
    near, far = socket.socketpair()
    received: list[str] = []

    def serve() -> None:
        try:
            with serving.wrap_socket(far, server_side=True) as connection:
                received.append(connection.recv(100).decode())
                connection.send(b"ok")
        except ssl.SSLError as error:
            received.append(f"refused: {error.reason}")
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with calling.wrap_socket(near, server_hostname=name) as connection:
            connection.send(b"hello")
            connection.recv(100)
    finally:
        near.close()
        thread.join()
    return received[0]


@pytest.mark.parametrize("server", ["service", "gateway-server"])
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_clients_trust_the_servers(folder: Path, server: str, name: str) -> None:
    assert handshake(folder, server, name, None, folder / "ca.pem") == "hello"


@pytest.mark.parametrize("client", ["gateway", "client"])
def test_the_service_trusts_the_clients(folder: Path, client: str) -> None:
    assert handshake(folder, "service", "localhost", client, folder / "ca.pem") == "hello"


def test_a_certificate_is_for_its_use_and_its_name_only(folder: Path) -> None:
    ca = folder / "ca.pem"
    with pytest.raises(ssl.SSLCertVerificationError, match="unsuitable certificate purpose"):
        handshake(folder, "client", "client", None, ca)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(folder, "service", "example.org", None, ca)
    with pytest.raises(OSError):  # the server's refusal may come as an alert or as a reset
        handshake(folder, "service", "localhost", "gateway-server", ca)


def test_ca_pem_works_as_ssl_cert_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    (certificate,) = ssl.create_default_context().get_ca_certs()
    assert certificate["subject"] == ((("commonName", "OpenVINO-Server development CA"),),)


def test_keys_are_their_owners_only(folder: Path) -> None:
    for path in folder.glob("*-key.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {path.name for path in folder.glob("*.pem")} == {
        f"{stem}{kind}.pem" for stem in STEMS for kind in ("", "-key")
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.pem")}


def test_what_is_good_is_kept(folder: Path) -> None:
    before = contents(folder)
    assert pki.create(folder) == dict.fromkeys(STEMS, False)
    assert contents(folder) == before


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return moment

    monkeypatch.setattr(pki, "datetime", Clock)


def test_leaves_are_renewed_near_their_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = (folder / "ca.pem").read_bytes()
    at(monkeypatch, datetime.now(UTC) + timedelta(days=397 - 31))
    assert not any(pki.create(folder).values())
    at(monkeypatch, datetime.now(UTC) + timedelta(days=397 - 29))
    assert pki.create(folder) == {stem: stem != "ca" for stem in STEMS}
    assert (folder / "ca.pem").read_bytes() == ca


def test_no_leaf_outlives_its_ca(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, datetime.now(UTC) + timedelta(days=3650 - 100))
    pki.create(folder)
    ca, leaf = (
        x509.load_pem_x509_certificate((folder / f"{stem}.pem").read_bytes())
        for stem in ("ca", "client")
    )
    assert leaf.not_valid_after_utc <= ca.not_valid_after_utc


def test_all_are_renewed_with_the_ca(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, datetime.now(UTC) + timedelta(days=3650 - 29))
    assert all(pki.create(folder).values())


def test_a_leaf_of_another_ca_is_made_anew(folder: Path, tmp_path: Path) -> None:
    pki.create(tmp_path / "other")
    for name in ("ca.pem", "ca-key.pem"):
        (tmp_path / "other" / name).replace(folder / name)
    assert pki.create(folder) == {stem: stem != "ca" for stem in STEMS}


@pytest.mark.parametrize("damage", ["-key.pem", ".pem"])
def test_what_is_damaged_or_missing_is_made_anew(folder: Path, damage: str) -> None:
    (folder / f"client{damage}").unlink()
    (folder / f"gateway{damage}").write_text("-----BEGIN CERTIFICATE-----\n")
    (folder / f"service{damage}").write_bytes((folder / f"gateway-server{damage}").read_bytes())
    made = pki.create(folder)
    assert [stem for stem, is_new in made.items() if is_new] == ["service", "gateway", "client"]
    assert handshake(folder, "service", "localhost", "client", folder / "ca.pem") == "hello"


def test_a_ca_without_its_key_is_never_replaced(folder: Path) -> None:
    (folder / "ca-key.pem").unlink()
    before = contents(folder)
    with pytest.raises(Failure, match=r"its key ca-key\.pem is not"):
        pki.create(folder)
    assert contents(folder) == before


def test_servers_get_more_names_and_keep_them(tmp_path: Path) -> None:
    from openvino_server_cli.__main__ import app

    command = ["certs", "create", "--dir", str(tmp_path)]
    names = ["--server-name", "inference-service", "--server-name", "10.0.0.7"]
    assert CliRunner().invoke(app, command).exit_code == 0
    lines = CliRunner().invoke(app, command + names).output.splitlines()
    assert [line.split()[-1] for line in lines] == ["kept", "made", "made", "kept", "kept"]
    assert handshake(tmp_path, "service", "10.0.0.7", None, tmp_path / "ca.pem") == "hello"
    assert handshake(tmp_path, "service", "inference-service", None, tmp_path / "ca.pem")
    assert not any(pki.create(tmp_path).values())


def test_a_name_that_no_certificate_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="'sérvice' can't be a name"):
        pki.create(tmp_path, ["sérvice"])
