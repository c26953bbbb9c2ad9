# SPDX-License-Identifier: Apache-2.0
"""The way into one cloud of clouds.yaml: one keystoneauth session for all its services, and the reads over it.

Every request has a time-out; reads are repeated when the connection broke.  A reply is turned into an object, a failure
into one of three errors.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from typing import Any, Optional
from urllib.parse import urlsplit

import openstack.config
import openstack.connection
from keystoneauth1 import exceptions as ksa
from keystoneauth1.session import TCPKeepAliveAdapter

from muster.core.errors import NovaError, NovaUnavailable
from muster.gateways.clock import Clock
from muster.gateways.nova.faults import Redirect, Reply, elsewhere, refusal, trouble, write_trouble

READ_TIMEOUT_S = 20.0
WRITE_TIMEOUT_S = 30.0
READ_RETRIES = 1
CELLS_TIMEOUT_S = 75.0
"""Nova waits for a cell whose database hangs for 60 s before it answers without it (nova/context.py, CELL_TIMEOUT)."""
MARGIN_S = 5.0
NOVAS_OWN = "X-OpenStack-Nova-API-Version"
"""In every answer of Nova's (nova/api/openstack/wsgi.py), and in none of another service or of a proxy."""
UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
"""What openstacksdk makes of a clouds.yaml that is none, or one that somebody is editing."""
FAILURES = (ksa.ClientException, openstack.exceptions.SDKException, RecursionError, *UNREADABLE)
"""What a request raises; the last where keystoneauth reads a token or versions in JSON that is neither."""


class _Announced(TCPKeepAliveAdapter):  # type: ignore[misc]
    """Tells before each request how long it may take: Keystone's, those for versions and for a new token included.

    Each address of a name has the whole time-out for its connection (urllib3's create_connection()), and the reply has
    it once more.

    :param announce: told how many seconds may pass until the request has ended.
    """

    def __init__(self, announce: Callable[[float], None]) -> None:
        super().__init__()
        self._announce = announce
        self._addresses: dict[str, int] = {}

    def send(self, request: Any, *args: Any, **options: Any) -> Any:
        host, timeout_s = urlsplit(request.url).hostname or "", options["timeout"]
        if host not in self._addresses:
            self._tell(1, timeout_s)  # looking the name up may take a while, too
            self._addresses[host] = addresses(host)
        self._tell(self._addresses[host], timeout_s)
        try:
            return super().send(request, *args, **options)
        except OSError:
            self._addresses.pop(host)
            raise

    def _tell(self, ways: int, timeout_s: float) -> None:
        self._announce((ways + 1) * timeout_s + MARGIN_S)


def addresses(host: str) -> int:
    """How many a name has; 1 for one that has none, where no connection is tried."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return 1
    return len({address for *_, address in found})


def _user(given: Mapping[str, Any]) -> str:
    """Who logs in, by the auth of clouds.yaml, in words."""
    kinds = ("username", "user"), ("user_id", "user"), ("application_credential_name", "application credential")
    for key, word in (*kinds, ("application_credential_id", "application credential")):
        if given.get(key):
            return f"{word} {str(given[key])!r}"
    return ""


class Login:
    """:param announce: told before each request how many seconds may pass until it has ended.

    ``requests`` counts every reply, those of Keystone and of the versions of a service included; ``reply`` is the last.
    """

    def __init__(self, cloud: str, clouds_file: str, announce: Callable[[float], None], clock: Clock) -> None:
        self._cloud = cloud
        self._clouds_file = clouds_file
        self._announce = announce
        self._clock = clock
        self._connection: Optional[openstack.connection.Connection] = None
        self._auth_url = self._user = ""
        self._asked = "compute"
        self.requests = 0
        self.reply: Optional[Reply] = None

    def connection(self) -> openstack.connection.Connection:
        """The same one until it is forgotten; nothing is sent yet.

        :raises NovaUnavailable: when clouds.yaml cannot be used.
        """
        if self._connection is None:
            if not os.access(self._clouds_file, os.R_OK):  # the SDK would say that it has no such cloud
                remedy = "make sure that it is there, and run this as root"
                raise NovaUnavailable(f"{self._clouds_file} cannot be read: {remedy}")
            secure = os.path.join(os.path.dirname(self._clouds_file), "secure.yaml")
            try:
                config = openstack.config.OpenStackConfig(
                    config_files=[self._clouds_file], secure_files=[secure], load_envvars=False
                )
                region = config.get_one(cloud=self._cloud)
                connection = openstack.connection.Connection(config=region)
                given = region.config.get("auth", {})
                self._auth_url = str(given.get("auth_url", ""))
                self._user = _user(given)
                connection.session.timeout = WRITE_TIMEOUT_S  # novaclient takes the session's
                connection.session.session.hooks["response"].append(self._seen)
                for scheme in ("http://", "https://"):
                    connection.session.session.mount(scheme, _Announced(self._announce))
            except (openstack.exceptions.SDKException, ksa.ClientException, OSError, *UNREADABLE) as exc:
                raise NovaUnavailable(f"{self._clouds_file}: cloud {self._cloud!r}: {exc}") from exc
            self._connection = connection
        return self._connection

    def check_region(self, service: str) -> None:
        """The region of clouds.yaml is one of Keystone's catalogue, and the only one where it names none: which of
        several it would be is keystoneauth's choice.

        :raises NovaUnavailable: naming those that there are.
        """
        connection = self.connection()
        access = getattr(connection.session.auth, "get_access", None)
        if access is None:
            return  # a way in that has no catalogue
        try:
            catalogue = access(connection.session).service_catalog
            endpoints = catalogue.get_endpoints(service_type=service).get(service, ())
        except FAILURES as exc:
            self.forget()  # a token that makes no sense would be kept until it expires
            raise self.read_trouble("the catalogue", exc) from exc
        regions = sorted({str(it.get("region_id") or it.get("region") or "") for it in endpoints})
        named = connection.config.region_name or ""
        if len(regions) > 1 and not named:
            self.forget()
            several = f"Keystone's catalogue has Nova in the regions {', '.join(regions)}"
            raise NovaUnavailable(f"{several}: name one in clouds.yaml (region_name)")
        if regions and named and named not in regions:
            self.forget()
            only = f"region_name is {named!r}, and Keystone's catalogue has Nova in {', '.join(regions)} only"
            raise NovaUnavailable(f"{only}: correct it in clouds.yaml")

    def forget(self) -> None:
        """Read clouds.yaml again at the next call."""
        self._connection = None

    def get(
        self,
        service: str,
        path: str,
        params: Mapping[str, str],
        version: Optional[str],
        timeout_s: Optional[float] = None,
        retries: int = READ_RETRIES,
    ) -> Mapping[str, Any]:
        """The object that a service replies.

        :param service: as openstacksdk calls it: "compute", "placement".
        :param timeout_s: for what takes a service longer than ``READ_TIMEOUT_S``.
        :param retries: how often it is asked again at once when the connection broke or the time was out.
        :raises NovaUnavailable: for no reply, or one that is no object.
        :raises NovaRefused: for a 4xx.
        """
        self._asked = service
        try:
            reply = self._get(service, path, params, version, timeout_s or READ_TIMEOUT_S, retries)
            if reply.status_code >= 300:
                self.forget_if_unauthorized(reply.status_code)
                raise refusal(reply, f"GET {path}", write=False)
            body = reply.json()
        except (ksa.ClientException, openstack.exceptions.SDKException) as exc:
            raise self.read_trouble(path, exc) from exc
        except (RecursionError, *UNREADABLE) as exc:
            raise NovaUnavailable(f"GET {path}: the reply is not JSON, or a token is none") from exc
        if not isinstance(body, dict):
            raise NovaUnavailable(f"GET {path}: the reply is not an object")
        return body

    def _get(
        self, service: str, path: str, params: Mapping[str, str], version: Optional[str], timeout_s: float, retries: int
    ) -> Any:
        adapter = getattr(self.connection(), service)
        return adapter.get(
            path,
            params=dict(params),
            microversion=version,
            timeout=timeout_s,
            connect_retries=retries,
            status_code_retries=0,  # keystoneauth would sleep for as long as Retry-After says, an hour if need be
        )

    def authenticate(self) -> None:
        """Have a token before a write, so that a failure here is known to have done nothing."""
        session = self.connection().session
        self._asked = "compute"
        try:
            session.get_token()
        except FAILURES as exc:
            raise self.read_trouble("a token", exc) from exc

    # --------------------------------------------------------------- failures

    def read_trouble(self, what: str, exc: Exception) -> NovaError:
        self._forget_if_refuted(exc)
        return trouble(self._refused_login(exc) or what, exc)

    def write_trouble(self, exc: Exception) -> NovaError:
        self._forget_if_refuted(exc)
        return write_trouble(exc)

    def _refused_login(self, exc: Exception) -> str:
        """Whom Keystone does not let in, and what to correct; empty for any other failure."""
        if not isinstance(exc, ksa.Unauthorized):
            return ""
        return (
            f"Keystone refuses {self._user or 'the credentials'} of cloud {self._cloud!r}. Correct the credentials in"
            f" {self._clouds_file} on every controller; muster reads them again by itself"
        )

    def _forget_if_refuted(self, exc: Exception) -> None:
        self.forget_if_unauthorized(getattr(exc, "http_status", 0) or getattr(exc, "status_code", 0) or 0)
        if isinstance(exc, ksa.SSLError):  # clouds.yaml may name another authority by now
            self.forget()

    def forget_if_unauthorized(self, status: int) -> None:
        """The password may have been changed in clouds.yaml: read it again at the next call."""
        if status == 401:
            self.forget()

    def _seen(self, reply: Any, **options: object) -> None:
        """Every reply: counted, and no redirect is followed to another place, for the token would go along.

        :raises Redirect: naming what is to be corrected.
        """
        self.requests += 1
        self.reply = reply
        if NOVAS_OWN in reply.headers:
            now = self._clock.now()
            self._clock.nova.note(now - reply.elapsed.total_seconds(), now, reply.headers.get("Date"))
        location = reply.headers.get("Location", "")
        away = reply.request.method != "GET" or elsewhere(reply.url, location)
        if 300 < reply.status_code < 400 and location and away:
            keystone = self._auth_url.rstrip("/").replace("/v3", "")
            if f"{reply.url}/".startswith(f"{keystone}/"):
                raise Redirect(f"Keystone answers with a redirect to {location[:200]}: correct auth_url in clouds.yaml")
            whom = "Nova" if self._asked == "compute" else self._asked
            where = "the endpoint in Keystone's catalogue"
            raise Redirect(f"{whom} answers with a redirect to {location[:200]}: correct {where}")
