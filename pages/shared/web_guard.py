"""What stands before every request: who may connect, from which page, and who may frame ours.

It wraps the whole web app (Starlette middleware), however that was started. Streamlit's own checks
see the host name of the websocket alone, and take any port of this machine for the same origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmrec_core.access import Access, accepted_hosts, is_loopback
from llmrec_core.language import t
from pages.shared.sessions import EndedLogins, login_of

REFUSED = 1008
"""Close code of a websocket that breaks a rule."""
SAFE = ("GET", "HEAD", "OPTIONS")


class WebGuard:
    """Refuses what nobody who belongs here sends, and adds headers to every answer."""

    def __init__(
        self, app: ASGIApp, *, access: Access, without_login: bool, ended: EndedLogins
    ) -> None:
        """Wrap an app.

        Args:
            app: the web app.
            access: what `access.toml` says.
            without_login: anybody may come in.
            ended: is told of logins that end.
        """
        self._app, self._access, self._ended = app, access, ended
        self._anybody = without_login
        self._hosts = set(accepted_hosts(access)) - {"localhost", "127.0.0.1", "[::1]"}
        self._framers = " ".join(["'self'", *access.web.embed])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or websocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(refusal, scope, receive, send)
            return
        if scope["path"].rstrip("/").endswith("/auth/logout"):
            login = login_of(_cookies(headers))
            if login is not None:
                self._ended.end(login)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, send_guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> str | None:
        """The sentence why a request is refused, `None` when it is welcome."""
        if not self._anybody and self._access.login is None:
            server = scope.get("server")
            if server is not None and server[1] is not None and not is_loopback(str(server[0])):
                return t(
                    "these pages are for this machine alone: nobody logs in, so they answer on "
                    "127.0.0.1 only"
                )
        host = headers.get("host", "")
        if not self._anybody and not self._is_ours(host):
            return t("the host {host!r} is not one of this server's names", host=host[:100])
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE
        if origin is not None and changes and not self._is_own_page(origin, host):
            return t("a page of {origin!r} may not connect here", origin=origin[:100])
        return None

    def _is_ours(self, host: str) -> bool:
        name = urlsplit(f"//{host}").hostname or ""
        return is_loopback(name) or name.rstrip(".") in self._hosts

    def _is_own_page(self, origin: str, host: str) -> bool:
        page = urlsplit(origin)
        return page.netloc.lower() == host.lower() or (page.hostname or "") in self._hosts

    def _add_headers(self, headers: MutableHeaders) -> None:
        headers["Content-Security-Policy"] = f"frame-ancestors {self._framers}"
        if not self._access.web.embed:
            headers["X-Frame-Options"] = "SAMEORIGIN"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"


def _cookies(headers: Headers) -> Mapping[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie")).items()}
    except CookieError:
        return {}


async def _refuse(sentence: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": REFUSED, "reason": sentence[:100]})
        return
    await PlainTextResponse(sentence, status_code=403)(scope, receive, send)
