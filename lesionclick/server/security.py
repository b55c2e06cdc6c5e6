"""Security of the server: which hosts, origins and keys are let in, and how large requests may be.

A page of another origin can send requests to a server on the reader's own computer, and by a name of its own that
points to 127.0.0.1 (DNS rebinding) it could read the answers. So the Host header has to be one of this server, and
where a browser says which page asks, that has to be a page of the same host.
"""

import hashlib
import hmac
import ipaddress
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "lesionclick"

UPLOAD_PATH = "/api/cases"

MAX_BODY = 1 << 20
"""Bytes of a request that brings no images."""

MIN_KEY = 16
"""Characters of an API key."""

OPEN_PATHS = ("/api/health",)
"""What is answered without a key."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' blob:; "
    "worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'",
}


@dataclass(frozen=True)
class Access:
    """Who is let in.

    Attributes:
        host: the address that the server listens on.
        key: the API key; None for none, on a loopback address alone.
        names: further names under which the server is reached.
        max_upload: bytes of a request that brings images.
    """

    host: str = "127.0.0.1"
    key: str | None = None
    names: Sequence[str] = ()
    max_upload: int = 2 << 30

    def is_our_host(self, host: str) -> bool:
        """Whether a Host header names this server; the port is not looked at, since tunnels have one of their own."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if name == "localhost" or name in self.names:
            return True
        if is_loopback(self.host):
            return is_loopback(name)
        # no page can have an address for its name, only one that it looked up
        return _is_address(name) or name in (socket.gethostname().lower(), socket.getfqdn().lower())

    @property
    def cookie(self) -> str:
        """What the cookie holds of somebody who gave the key."""
        return hashlib.sha256(f"lesionclick cookie {self.key}".encode()).hexdigest()


def is_loopback(host: str) -> bool:
    """Whether an address or name is reached from this computer alone."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """Lets requests through to an application, or refuses them with a sentence."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        """Stands before `app`."""
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._refuse(scope)
        if answer is not None:
            await answer(scope, receive, _with_headers(scope["path"], send))
            return
        limit = self._access.max_upload if scope["path"] == UPLOAD_PATH else MAX_BODY
        await self._app(scope, _bounded(receive, limit), _with_headers(scope["path"], send))

    def _refuse(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._access.is_our_host(host):
            return _problem(403, f"this server is not called {json.dumps(host[:80])}, see its option --allow-name")
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return _problem(403, f"pages of {json.dumps(origin[:80])} have no access to this server")
        # such as a picture in a page of somebody else; a link to the page itself is no danger
        is_foreign = origin is None and headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if is_foreign and (headers.get("sec-fetch-mode") != "navigate" or scope["path"].startswith("/api/")):
            return _problem(403, "pages of other origins have no access to this server")
        answer = None if self._access.key is None or scope["path"] in OPEN_PATHS else self._ask_key(scope, headers)
        limit = self._access.max_upload if scope["path"] == UPLOAD_PATH else MAX_BODY
        length = headers.get("content-length", "0")
        if answer is None and length.isdigit() and int(length) > limit:
            return _problem(413, _too_large(limit))
        return answer

    def _ask_key(self, scope: Scope, headers: Headers) -> Response | None:
        key = self._access.key or ""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _is_same(token.strip(), key):
            return None
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if scope["path"] == "/" and "key" in query:
            if not _is_same(query.pop("key")[0], key):
                return _problem(401, "this is not the server's key")
            rest = urlencode(query, doseq=True)
            answer = RedirectResponse(f"/?{rest}" if rest else "/", 303)
            secure = scope["scheme"] == "https"
            answer.set_cookie(COOKIE, self._access.cookie, httponly=True, samesite="lax", secure=secure)
            return answer
        if any(_is_same(each, self._access.cookie) for each in _cookies(headers)):
            return None
        return _problem(
            401, "this server asks for its key: open /?key=KEY, or send the header Authorization: Bearer KEY"
        )


def _cookies(headers: Headers) -> list[str]:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return []
    return [cookies[COOKIE].value] if COOKIE in cookies else []


def _is_same(first: str, second: str) -> bool:
    return hmac.compare_digest(first.encode(), second.encode())


def _problem(status: int, sentence: str) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if status == 413:
        headers["Connection"] = "close"
    return JSONResponse({"detail": sentence}, status, headers)


def _too_large(limit: int) -> str:
    size = f"{limit / (1 << 30):.3g} GB" if limit >= 1 << 28 else f"{limit / (1 << 20):.3g} MB"
    return f"the request is too large, at most {size} are taken"


def _bounded(receive: Receive, limit: int) -> Receive:
    """Counts what comes in; a request of more than it may have fails where it is read."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(413, _too_large(limit))
        return message

    return bounded


def _with_headers(path: str, send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if path == "/docs":  # which begins with a script in the page itself
                headers["Content-Security-Policy"] = _HEADERS["Content-Security-Policy"].replace(
                    "script-src 'self'", "script-src 'self' 'unsafe-inline'"
                )
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return wrapped
