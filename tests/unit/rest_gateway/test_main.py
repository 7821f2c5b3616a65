"""The gateway as a process, with TLS on both sides."""

import asyncio
import contextlib
import datetime
import json
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc
from openvino_server.v1 import inference_pb2_grpc, models_pb2_grpc

from rest_gateway.auth.keys import KeyStore

CHAT = "/v1/chat/completions"


class Authority:
    """Writes certificates and keys into a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.ca = self._write(
            name,
            self.key,
            self._builder(self.name, self.key, ca=True).sign(self.key, hashes.SHA256()),
        )[0]

    def issue(self, name: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        builder = self._builder(subject, key, ca=False).add_extension(names, critical=False)
        return self._write(name, key, builder.sign(self.key, hashes.SHA256()))

    def _builder(self, subject: Any, key: Any, *, ca: bool) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )

    def _write(self, name: str, key: Any, certificate: x509.Certificate) -> tuple[Path, Path]:
        cert_file, key_file = self.folder / f"{name}.pem", self.folder / f"{name}-key.pem"
        cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return cert_file, key_file


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ca")


@pytest.fixture
async def secure_port(service: Any, health: Any, authority: Authority) -> AsyncIterator[int]:
    cert, key = authority.issue("service.test")
    server = grpc.aio.server()
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(service, server)
    models_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    credentials = grpc.ssl_server_credentials(
        [(key.read_bytes(), cert.read_bytes())],
        root_certificates=authority.ca.read_bytes(),
        require_client_auth=True,
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    yield port
    await server.stop(None)


@pytest.fixture
def settings(authority: Authority, tmp_path: Path) -> dict[str, object]:
    cert, key = authority.issue("localhost")
    client_cert, client_key = authority.issue("gateway")
    return {
        "port": 0,
        "tls_cert": cert,
        "tls_key": key,
        "service_name": "service.test",
        "service_ca": authority.ca,
        "service_client_cert": client_cert,
        "service_client_key": client_key,
        "keys_file": tmp_path / "keys.json",
        "drain_timeout_seconds": 30,
    }


async def start(settings: dict[str, object]) -> asyncio.subprocess.Process:
    environment = {name: value for name, value in os.environ.items() if "OVS_" not in name}
    environment |= {f"OVS_GATEWAY_{name.upper()}": str(v) for name, v in settings.items()}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "rest_gateway",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def outcome(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(20):
        _, problems = await process.communicate()
    return process.returncode, problems.decode()


async def line_of(process: asyncio.subprocess.Process, event: str) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        async for line in process.stdout:
            said: dict[str, Any] = json.loads(line)
            if said["event"] == event:
                return said
    raise AssertionError(f"{event} was not logged")


@contextlib.asynccontextmanager
async def running(
    settings: dict[str, object], ca: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    key = KeyStore.open(Path(str(settings["keys_file"]))).create("test")[1]
    process = await start(settings)
    try:
        ready = await line_of(process, "ready")
        async with httpx.AsyncClient(
            base_url=f"https://localhost:{ready['port']}",
            verify=ssl.create_default_context(cafile=str(ca)),
            headers={"authorization": f"Bearer {key}"},
            timeout=20,
        ) as client:
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_serves_and_drains(
    settings: Any, secure_port: int, authority: Authority, service: Any, events: Any, ask: Any
) -> None:
    go_on = asyncio.Event()
    service.script = [
        events.started(),
        events.text("Hel"),
        go_on,
        events.text("lo"),
        events.finished(),
    ]
    settings["service_address"] = f"127.0.0.1:{secure_port}"
    async with running(settings, authority.ca) as (process, client):
        health = await client.get("/v1/health")
        assert health.json() == {"status": "ok"}
        assert "server" not in health.headers
        async with client.stream("POST", CHAT, json=ask | {"stream": True}) as response:
            assert response.status_code == 200
            lines = response.aiter_lines()
            async for line in lines:
                if "Hel" in line:
                    break
            process.send_signal(signal.SIGTERM)
            await line_of(process, "draining")
            go_on.set()
            rest = [line async for line in lines]
        assert any('"content":"lo"' in line for line in rest)
        assert rest[-2] == "data: [DONE]"
        access = await line_of(process, "request")
        assert access["completion_tokens"] == 3
        await line_of(process, "stopped")
        assert await outcome(process) == (0, "")


async def test_end_of_drain_time_is_told_in_the_stream(
    settings: Any, secure_port: int, authority: Authority, service: Any, events: Any, ask: Any
) -> None:
    service.script = [events.started(), events.text("Hel"), asyncio.Event()]
    settings["service_address"] = f"127.0.0.1:{secure_port}"
    settings["drain_timeout_seconds"] = 0
    async with running(settings, authority.ca) as (process, client):
        async with client.stream("POST", CHAT, json=ask | {"stream": True}) as response:
            lines = response.aiter_lines()
            async for line in lines:
                if "Hel" in line:
                    break
            process.send_signal(signal.SIGTERM)
            rest = [line async for line in lines]
        assert '"code":"server_draining"' in rest[-2]
        await line_of(process, "stopped")
        assert await outcome(process) == (0, "")
    async with asyncio.timeout(5):
        await service.cancelled.wait()


@pytest.mark.parametrize("wrong", ["service_name", "service_ca", "service_client_cert"])
async def test_service_that_is_not_trusted(
    settings: Any, secure_port: int, authority: Authority, tmp_path: Path, ask: Any, wrong: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = Authority(other, "ca")
    if wrong == "service_name":
        settings[wrong] = "other.test"
    elif wrong == "service_ca":
        settings[wrong] = stranger.ca
    else:
        settings[wrong], settings["service_client_key"] = stranger.issue("gateway")
    settings["service_address"] = f"127.0.0.1:{secure_port}"
    async with running(settings, authority.ca) as (process, client):
        response = await client.post(CHAT, json=ask)
        assert response.status_code == 503
        # A service that refuses the gateway just hangs up; nothing says why at this end.
        refused = wrong == "service_client_cert"
        code = "service_unavailable" if refused else "service_untrusted"
        assert response.json()["error"]["code"] == code
        detail = (await line_of(process, "upstream_failed"))["detail"]
        assert detail
        assert (await client.get("/v1/health")).status_code == 503
        process.send_signal(signal.SIGTERM)
        assert await outcome(process) == (0, ""), "gRPC writes lines of its own"


async def test_every_configuration_problem_is_told(settings: Any) -> None:
    del settings["tls_cert"]
    settings["port"] = 70000
    status, problems = await outcome(await start(settings))
    assert status == 2
    assert "tls_cert: Field required (--tls-cert or OVS_GATEWAY_TLS_CERT)" in problems
    assert "port: " in problems
    assert "Traceback" not in problems


async def test_bad_certificates_are_told(settings: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    settings |= {"tls_cert": bad, "service_client_key": settings["tls_key"], "service_ca": bad}
    status, problems = await outcome(await start(settings))
    assert status == 2
    assert [line.strip().partition(":")[0] for line in problems.splitlines()] == [
        "rest_gateway",
        "tls_cert",
        "service_client_cert",
        "service_ca",
    ]


async def test_bad_keys_file_is_told(settings: Any) -> None:
    settings["keys_file"].write_text("{")
    status, problems = await outcome(await start(settings))
    assert status == 2
    assert "is not a file of keys" in problems
    assert "Traceback" not in problems


async def test_port_in_use(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings["port"] = taken.getsockname()[1]
        status, problems = await outcome(await start(settings))
    assert status == 1
    assert problems == (
        f"rest_gateway: can't listen on 127.0.0.1:{settings['port']}: Address already in use\n"
    )


async def test_no_keys_is_a_warning(settings: Any) -> None:
    process = await start(settings)
    assert (await line_of(process, "no_api_keys"))["keys_file"] == str(settings["keys_file"])
    await line_of(process, "ready")
    process.send_signal(signal.SIGINT)
    assert await outcome(process) == (0, "")
