# SPDX-License-Identifier: Apache-2.0
"""A very small Identity v3 service (WSGI): password and token methods, a catalogue, validation for keystonemiddleware.

Enough for keystoneauth, openstacksdk and novaclient; it is not Keystone, and checks no policy.
"""

import datetime
import json
import threading
import uuid

_DOMAIN = {"id": "default", "name": "Default"}


class Refused(Exception):
    """(HTTP status, title, message)"""


def _id(name):
    return uuid.uuid5(uuid.NAMESPACE_DNS, name).hex


def _iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _now():
    return datetime.datetime.now(datetime.UTC)


class Identity:
    """
    :param users: name -> (password, [roles])
    :param project: the one project, id and name
    :param ttl: seconds that a token lives
    """

    def __init__(self, url, users, project, endpoints, ttl):
        self._url, self._users, self._project, self._endpoints = url, dict(users), project, endpoints
        self.regions = ["RegionOne"]
        self.others = {}  # service type -> url of what else the catalogue is to have
        self.ttl = ttl
        self.issued = self.validated = 0
        self._tokens = {}
        self._lock = threading.Lock()

    # ------------------------------------------------------ for the control
    def revoke_all(self):
        """Forget all tokens but those of the service users, as an administrator would revoke one user's."""
        with self._lock:
            gone = [t for t, (_, body) in self._tokens.items() if body["token"]["user"]["name"] != "nova"]
            for token in gone:
                del self._tokens[token]
        return len(gone)

    def change_password(self, user, password):
        self._users[user] = (password, self._users[user][1])

    def issue(self, user, methods=("password",), scope="project", project=None):
        """A new token: (token, its document)."""
        now = _now()
        expires = now + datetime.timedelta(seconds=self.ttl)
        body = {
            "methods": list(methods),
            "user": {"id": _id(user), "name": user, "password_expires_at": None, "domain": _DOMAIN},
            "audit_ids": [uuid.uuid4().hex[:22]],
            "issued_at": _iso(now),
            "expires_at": _iso(expires),
        }
        if scope == "system":
            body["system"] = {"all": True}
        elif scope == "project":
            body["project"] = {**(project or self._project), "domain": _DOMAIN}
            body["is_domain"] = False
        if scope:
            body["roles"] = [{"id": _id(role), "name": role} for role in self._users[user][1]]
            body["catalog"] = self._catalog()
        token = "bed-" + uuid.uuid4().hex
        with self._lock:
            self.issued += 1
            self._tokens[token] = (expires, {"token": body})
        return token, {"token": body}

    def roles(self, token):
        """Names of the roles that a living token gives; None for any other."""
        body = self._find(token)
        return [role["name"] for role in body["token"].get("roles", ())] if body else None

    # ------------------------------------------------------------ documents
    def _version(self):
        return {
            "id": "v3.14",
            "status": "stable",
            "updated": "2020-04-07T00:00:00Z",
            "links": [{"rel": "self", "href": self._url + "/v3/"}],
            "media-types": [
                {"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"},
            ],
        }

    def _catalog(self):
        return [
            {
                "id": _id(kind),
                "type": kind,
                "name": kind,
                "endpoints": [
                    {
                        "id": _id(region + kind + interface),
                        "interface": interface,
                        "region": region,
                        "region_id": region,
                        "url": url,
                    }
                    for region in self.regions
                    for interface in ("public", "internal", "admin")
                ],
            }
            for kind, url in sorted({**self._endpoints, **self.others}.items())
        ]

    # ------------------------------------------------------------- requests
    def _find(self, token):
        with self._lock:
            expires, body = self._tokens.get(token, (None, None))
        return body if body and expires >= _now() else None

    def _authenticate(self, auth):
        identity = auth["identity"]
        methods = identity["methods"]
        if "password" in methods:
            user = identity["password"]["user"]
            name = user.get("name")
            if name not in self._users or self._users[name][0] != user.get("password"):
                raise Refused(401, "Unauthorized", "The request you have made requires authentication.")
        elif "token" in methods:
            old = self._find(identity["token"]["id"])
            if not old:
                raise Refused(401, "Unauthorized", "The token is not valid.")
            name = old["token"]["user"]["name"]
        else:
            raise Refused(401, "Unauthorized", "This method is not offered.")
        token, body = self.issue(name, methods, self._scope(auth.get("scope")))
        return "201 Created", body, [("X-Subject-Token", token)]

    def _scope(self, scope):
        if not scope:
            return None
        if "system" in scope:
            return "system"
        asked = scope.get("project", {})
        if any(asked.get(key, value) != value for key, value in self._project.items()):
            raise Refused(401, "Unauthorized", "There is no such project.")
        return "project"

    def _token_request(self, method, environ):
        if method == "POST":
            length = int(environ.get("CONTENT_LENGTH") or 0)
            return self._authenticate(json.loads(environ["wsgi.input"].read(length))["auth"])
        if not self._find(environ.get("HTTP_X_AUTH_TOKEN")):
            raise Refused(401, "Unauthorized", "The request you have made requires authentication.")
        subject = environ.get("HTTP_X_SUBJECT_TOKEN")
        body = self._find(subject)
        if not body:
            raise Refused(404, "Not Found", "Could not recognize the token.")
        if method == "DELETE":
            with self._lock:
                self._tokens.pop(subject, None)
            return "204 No Content", None, []
        self.validated += 1
        return "200 OK", None if method == "HEAD" else body, [("X-Subject-Token", subject)]

    def _answer(self, environ):
        path = environ.get("PATH_INFO", "/").rstrip("/")
        if path == "":
            return "300 Multiple Choices", {"versions": {"values": [self._version()]}}, []
        if path == "/v3":
            return "200 OK", {"version": self._version()}, []
        if path != "/v3/auth/tokens":
            raise Refused(404, "Not Found", "The bed's Identity has no such page.")
        return self._token_request(environ["REQUEST_METHOD"], environ)

    def __call__(self, environ, start_response):
        try:
            status, body, headers = self._answer(environ)
        except Refused as exc:
            code, title, message = exc.args
            status, headers = f"{code} {title}", []
            body = {"error": {"code": code, "title": title, "message": message}}
        data = b"" if body is None else json.dumps(body).encode()
        fixed = [("Content-Type", "application/json"), ("Content-Length", str(len(data))), ("Vary", "X-Auth-Token")]
        start_response(status, fixed + headers)
        return [data]


class AdminDoor:
    """WSGI: lets the tokens of Identity in where a service knows no Keystone (``noauth2``): there the token is the user,
    and ``admin`` the only one with a role.  Nova itself comes with that token."""

    def __init__(self, app, identity):
        self._app, self._identity = app, identity

    def __call__(self, environ, start_response):
        token = environ.get("HTTP_X_AUTH_TOKEN")
        if token and token != "admin":
            roles = self._identity.roles(token)
            if roles is None:
                start_response("401 Unauthorized", [("Content-Length", "0")])
                return [b""]
            environ["HTTP_X_AUTH_TOKEN"] = "admin" if "admin" in roles else "somebody"
        return self._app(environ, start_response)
