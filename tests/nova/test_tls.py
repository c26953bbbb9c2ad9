# SPDX-License-Identifier: Apache-2.0
"""E6: a certificate that is not right is refused; only clouds.yaml changes that."""

from __future__ import annotations

import datetime
import http.client
import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from muster.core.findings import Verdict
from tests.bed.nova.client import NovaBed
from tests.nova.steps import MakeRig, boot, expect, posts

ADDRESS = "127.0.0.1"


class Proxy(http.server.ThreadingHTTPServer):
    """Ends TLS in front of one service of the bed, and writes its own address where the service writes its own."""

    daemon_threads = True

    def __init__(self, url: str, certificate: trustme.LeafCert) -> None:
        super().__init__((ADDRESS, 0), Forward)
        self.behind = urlsplit(url).netloc
        self.renamed = {url: f"https://{ADDRESS}:{self.server_port}"}
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self.context)
        self.socket = self.context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.served = 0

    @property
    def url(self) -> str:
        return f"https://{ADDRESS}:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that does not like the certificate hangs up


class Forward(http.server.BaseHTTPRequestHandler):
    """HTTP/1.0: a handshake for each request."""

    server: Proxy

    def _forward(self) -> None:
        self.server.served += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        behind = http.client.HTTPConnection(self.server.behind)
        behind.request(self.command, self.path, body, dict(self.headers))
        reply = behind.getresponse()
        data = reply.read()
        for inside, outside in self.server.renamed.items():
            data = data.replace(inside.encode(), outside.encode())
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "server", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        behind.close()

    do_GET = do_POST = do_PUT = do_DELETE = _forward

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def certificate(authority: trustme.CA, fault: str) -> trustme.LeafCert:
    """For the address of the proxies, by the CA; ``fault``: unknown-ca, expired, wrong-host or none."""
    if fault == "unknown-ca":
        return trustme.CA().issue_cert(ADDRESS)
    if fault == "wrong-host":
        return authority.issue_cert("keystone.example")
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    return authority.issue_cert(ADDRESS, not_after=yesterday) if fault == "expired" else authority.issue_cert(ADDRESS)


@contextmanager
def behind_tls(bed: NovaBed, identity: trustme.LeafCert, compute: trustme.LeafCert) -> Iterator[dict[str, Proxy]]:
    """Both services behind TLS, also in the catalogue."""
    proxies = {"identity": Proxy(bed.url["identity"], identity), "compute": Proxy(bed.url["compute"], compute)}
    for proxy in proxies.values():
        proxy.renamed.update({bed.url[name]: other.url for name, other in proxies.items()})
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield proxies
    finally:
        for proxy in proxies.values():
            proxy.shutdown()
            proxy.server_close()


def clouds(bed: NovaBed, file: Path, proxies: dict[str, Proxy], **more: object) -> None:
    bed.clouds_yaml(file, auth_url=proxies["identity"].url + "/v3", **more)


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@pytest.mark.parametrize("service", ["identity", "compute"])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("unknown-ca", "unable to get local issuer certificate"),
        ("expired", "certificate has expired"),
        ("wrong-host", "IP address mismatch"),
    ],
)
def test_refuses_a_certificate_that_is_not_right(
    bed: NovaBed, rig: MakeRig, authority: trustme.CA, ca_file: str, service: str, fault: str, words: str
) -> None:
    """Nothing is told to such an endpoint, and the reason says what is wrong with it."""
    (uuid,) = boot(bed)
    certificates = {
        name: certificate(authority, fault if name == service else "none") for name in ("identity", "compute")
    }
    with behind_tls(bed, **certificates) as proxies:
        it = rig()
        clouds(bed, it.clouds_file, proxies, cacert=ca_file)
        it.fence("cmp1")
        it.run_until(lambda: bool(it.outlet.reason), 20)
        it.run_for(2)
        assert "CERTIFICATE_VERIFY_FAILED" in it.outlet.reason
        assert words in it.outlet.reason
        assert it.outlet.reason in it.outlet.reports["cmp1"]["reason"]
        assert proxies[service].served == 0
    assert posts(bed, uuid) == 0
    assert not bed.service("cmp1")["forced_down"]


@pytest.mark.parametrize("how", ["cacert", "verify"])
def test_clouds_yaml_may_name_the_authority_or_ask_for_no_check(
    bed: NovaBed, rig: MakeRig, authority: trustme.CA, ca_file: str, how: str
) -> None:
    """Refused as it is; read again and let in once the operator has said so, without a restart."""
    (uuid,) = boot(bed)
    good = certificate(authority, "none")
    with behind_tls(bed, good, good) as proxies:
        it = rig()
        clouds(bed, it.clouds_file, proxies)
        it.fence("cmp1")
        it.run_until(lambda: "CERTIFICATE_VERIFY_FAILED" in it.outlet.reason, 20)
        clouds(bed, it.clouds_file, proxies, **({"cacert": ca_file} if how == "cacert" else {"verify": False}))
        it.run_until(it.says(uuid, Verdict.EVACUATED), 30)
    expect(bed, uuid, "active")
    assert posts(bed, uuid) == 1


def test_the_environment_does_not_change_that(
    bed: NovaBed, rig: MakeRig, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, ca_file: str
) -> None:
    boot(bed)
    for name, value in (("OS_INSECURE", "true"), ("OS_CACERT", ca_file), ("PYTHONHTTPSVERIFY", "0")):
        monkeypatch.setenv(name, value)
    good = certificate(authority, "none")
    with behind_tls(bed, good, good) as proxies:
        it = rig()
        clouds(bed, it.clouds_file, proxies)
        it.fence("cmp1")
        it.run_until(lambda: "CERTIFICATE_VERIFY_FAILED" in it.outlet.reason, 20)
        assert not any(proxy.served for proxy in proxies.values())


def test_another_authority_is_read_from_the_file(
    bed: NovaBed, rig: MakeRig, authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    """The certificates were replaced midway, a moment later cacert in clouds.yaml; the worker is not restarted."""
    (uuid,) = boot(bed)
    good = certificate(authority, "none")
    with behind_tls(bed, good, good) as proxies:
        it = rig()
        clouds(bed, it.clouds_file, proxies, cacert=ca_file)
        it.fence("cmp1")
        it.run_until(lambda: bed.service("cmp1")["forced_down"])
        new = trustme.CA()
        for proxy in proxies.values():
            new.issue_cert(ADDRESS).configure_cert(proxy.context)
        it.run_until(lambda: "CERTIFICATE_VERIFY_FAILED" in it.outlet.reason, 20)
        new.cert_pem.write_to_path(str(tmp_path / "new.pem"))
        clouds(bed, it.clouds_file, proxies, cacert=str(tmp_path / "new.pem"))
        it.run_until(it.says(uuid, Verdict.EVACUATED), 40)
    expect(bed, uuid, "active")
