"""TLS, mutual TLS, spans, message sizes: what lies below the contract."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest
from service import PARENT, refused, serving

from recsvc.config import load_settings
from recsvc.errors import ConfigError
from recsvc.serving.grpc_server import server_credentials
from recsvc.v1 import catalog_pb2, catalog_pb2_grpc
from recsvc.v1 import recommendation_pb2 as pb
from recsvc.v1 import resources_pb2 as res

REQUEST = catalog_pb2.GetMemberRequest(name=f"{PARENT}/members/m0")


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority (ca.pem), and server and client certificates that it signed."""
    folder = tmp_path_factory.mktemp("pki")
    short = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl(
        folder, "req", "-x509", *short, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca"
    )
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
    for name in ("server", "client"):
        request = (f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(folder, "req", *short, "-keyout", *request)
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
        files = ("-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", "extensions")
        openssl(folder, "x509", "-req", *signing, *files)
    return folder


def channel_to(port: int, pki: Path, with_client: bool) -> grpc.aio.Channel:
    own = (
        ((pki / "client.key").read_bytes(), (pki / "client.pem").read_bytes())
        if with_client
        else (None, None)
    )
    credentials = grpc.ssl_channel_credentials((pki / "ca.pem").read_bytes(), *own)
    return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials)


async def ask(channel: grpc.aio.Channel) -> str:
    stub: Any = catalog_pb2_grpc.CatalogServiceStub(channel)
    return str((await stub.GetMember(REQUEST, timeout=5)).member.name)


@pytest.mark.parametrize("mutual", [False, True])
async def test_tls_by_configuration(tmp_path: Path, pki: Path, mutual: bool) -> None:
    tls = {"certificate": pki / "server.pem", "key": pki / "server.key"}
    if mutual:
        tls["client_ca"] = pki / "ca.pem"
    async with serving(tmp_path, "tiny", tls=tls) as service:
        assert (await refused(service.catalog.GetMember(REQUEST, timeout=5))).code == "UNAVAILABLE"
        async with channel_to(service.port, pki, with_client=True) as channel:
            assert await ask(channel) == REQUEST.name
        async with channel_to(service.port, pki, with_client=False) as channel:
            if mutual:
                assert (await refused(ask(channel))).code == "UNAVAILABLE"
            else:
                assert await ask(channel) == REQUEST.name


def test_a_certificate_that_cannot_be_read_is_named(pki: Path) -> None:
    files = {"certificate": pki / "server.pem", "key": pki / "server.key"}
    tls = load_settings(overrides={"tls": files}).settings.tls
    (pki / "server.key").rename(pki / "moved.key")
    try:
        with pytest.raises(ConfigError, match=r"server\.key cannot be read"):
            server_credentials(tls)
    finally:
        (pki / "moved.key").rename(pki / "server.key")


async def test_spans_when_they_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(tmp_path, "tiny", tracing={"enabled": True, "console": True}) as service:
        await service.catalog.GetMember(REQUEST)
        unknown = catalog_pb2.GetMemberRequest(name=f"{PARENT}/members/none")
        assert (await refused(service.catalog.GetMember(unknown))).reason == "UNKNOWN_MEMBER"
        many = pb.BatchRecommendLeadsRequest(parent=PARENT, members=[f"{PARENT}/members/m0"])
        parts = [part async for part in service.recommendation.BatchRecommendLeads(many)]
        assert len(parts[0].results) == 1
        many.parent = "tenants/never"
        told = await refused(service.recommendation.BatchRecommendLeads(many))
        assert told.code == "PERMISSION_DENIED"
    spans = capsys.readouterr().err
    assert spans.count('"/recsvc.v1.CatalogService/GetMember"') >= 2
    assert spans.count('"/recsvc.v1.RecommendationService/BatchRecommendLeads"') >= 2


async def test_messages_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, max_receive_bytes=1 << 20) as service:
        lead = res.Lead(name=f"{PARENT}/leads/l", body="x" * (1 << 20))
        request = catalog_pb2.UpdateLeadRequest(lead=lead, allow_missing=True)
        assert (await refused(service.catalog.UpdateLead(request))).code == "RESOURCE_EXHAUSTED"
        lead.body = "x" * 100_000
        request = catalog_pb2.UpdateLeadRequest(lead=lead, allow_missing=True)
        assert len((await service.catalog.UpdateLead(request)).lead.body) == 100_000
