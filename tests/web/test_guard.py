"""How far the pages may be reached: what refuses to start, and what is refused at every request."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect

from llmrec_core.running.services import web_command
from pages.shared.warm import warm
from tests.served import free_port
from tests.web.test_access import FILE

ROOT = Path(__file__).parents[2]


def start(home: Path, command: list[str] | tuple[str, ...], **environment: str):
    home.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "LLMREC_HOME": str(home), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


STREAMLIT = ("-m", "streamlit", "run", "app.py", "--server.port", "{port}")


@pytest.mark.threat("open-to-others")
@pytest.mark.parametrize(
    ("command", "environment", "sentence"),
    [
        ((*STREAMLIT, "--server.address", "0.0.0.0"), {}, "server.address is 0.0.0.0"),
        (STREAMLIT, {"STREAMLIT_SERVER_ADDRESS": "0.0.0.0"}, "server.address is 0.0.0.0"),
        ((*STREAMLIT, "--server.allowedHosts", "*"), {}, "allowedHosts accepts every name"),
        (STREAMLIT, {"STREAMLIT_SERVER_ENABLE_CORS": "false"}, "enableCORS is off"),
        (
            STREAMLIT,
            {"STREAMLIT_SERVER_ENABLE_XSRF_PROTECTION": "false"},
            "enableXsrfProtection is off",
        ),
        (("-m", "llmrec_core", "up", "--host", "0.0.0.0", "--port", "{port}"), {}, "0.0.0.0"),
    ],
    ids=["address", "address in env", "hosts", "cors", "xsrf", "up"],
)
def test_open_pages_do_not_start(tmp_path, command, environment, sentence):
    words = [word.format(port=free_port()) for word in command]
    process = start(tmp_path / "home", words, **environment)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "these pages can delete data and start work, and nobody logs in" in output
    assert sentence in output
    assert "Traceback" not in output


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[int]:
    """The web as `up` starts it, in an environment that tries to switch every guard off."""
    port = free_port()
    command = web_command(port, "127.0.0.1", ("localhost", "127.0.0.1", "[::1]"))
    hostile = {
        "STREAMLIT_SERVER_ADDRESS": "0.0.0.0",
        "STREAMLIT_SERVER_ENABLE_CORS": "false",
        "STREAMLIT_SERVER_ENABLE_XSRF_PROTECTION": "false",
        "STREAMLIT_SERVER_ALLOWED_HOSTS": "*",
        "STREAMLIT_CLIENT_SHOW_ERROR_DETAILS": "full",
    }
    process = start(tmp_path_factory.mktemp("web") / "home", command, **hostile)
    try:
        warm(port, timeout_s=60)
        yield port
    finally:
        process.terminate()
        process.communicate()


def ask(
    port: int, path: str = "/", method: str = "GET", **headers: str
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers=named)
    answer = connection.getresponse()
    answer.body = answer.read().decode("utf-8", "replace")
    connection.close()
    return answer


@pytest.mark.threat("open-to-others", "open-ports")
def test_up_listens_on_the_loopback_alone(served):
    """Our only open port, and not on the machine's other addresses."""
    other = next(
        (
            address
            for *_, (address, *_rest) in socket.getaddrinfo(socket.gethostname(), None)
            if not address.startswith("127.") and ":" not in address
        ),
        None,
    )
    if other is None:
        other = "127.0.0.2"  # the machine has no other address: another one of the loopback
    with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
        socket.create_connection((other, served), timeout=3)


@pytest.mark.threat("framing")
@pytest.mark.parametrize("path", ["/", "/decide", "/_stcore/health", "/_stcore/host-config"])
def test_no_other_site_may_frame_a_page(served, path):
    headers = ask(served, path).headers
    assert headers["Content-Security-Policy"] == "frame-ancestors 'self'"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.threat("foreign-host")
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1", ""])
def test_other_host_names_are_refused(served, host):
    """As a page of another site does that has its name point here (DNS rebinding)."""
    answer = ask(served, Host=host)
    assert answer.status in (400, 403)
    assert "<html" not in answer.body


@pytest.mark.threat("foreign-host")
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost:1", "http://127.0.0.1:9999", "null"]
)
def test_pages_of_other_origins_may_not_connect(served, origin):
    """Any port of this machine was an accepted origin: another program's page could drive ours."""
    with pytest.raises((InvalidStatus, WebSocketException)):
        connect(f"ws://127.0.0.1:{served}/_stcore/stream", origin=origin).recv(timeout=5)
    answer = ask(served, "/_stcore/upload_file/x/y", "PUT", Origin=origin)
    assert answer.status == 403


def test_own_page_may_connect(served):
    for name in ("127.0.0.1", "localhost"):
        origin = f"http://{name}:{served}"
        with connect(f"ws://{name}:{served}/_stcore/stream", origin=origin):
            pass


@pytest.mark.threat("foreign-host")
def test_unknown_session_uploads_nothing(served):
    answer = ask(
        served, "/_stcore/upload_file/unknown/file", "PUT", Origin=f"http://127.0.0.1:{served}"
    )
    assert answer.status >= 400


@pytest.mark.threat("open-to-others")
def test_served_by_another_server_it_still_answers_this_machine_alone(tmp_path):
    """uvicorn on all addresses: what comes in by another address than the loopback is refused."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    from llmrec_core.access import Access
    from pages.shared.sessions import EndedLogins
    from pages.shared.web_guard import WebGuard

    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"page"})

    def status(server: tuple[str, int], without_login: bool, host: bytes = b"localhost") -> int:
        sent: list[dict] = []

        async def send(message: dict) -> None:
            sent.append(message)

        async def receive() -> dict:
            return {"type": "http.request"}

        guard = WebGuard(
            app, access=Access(), without_login=without_login, ended=EndedLogins(tmp_path)
        )
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "headers": [(b"host", host)],
            "server": server,
        }
        with ThreadPoolExecutor(1) as pool:  # this thread may have a browser's loop
            pool.submit(asyncio.run, guard(scope, receive, send)).result()
        return sent[0]["status"]

    assert status(("127.0.0.1", 80), False) == 200
    assert status(("10.1.2.3", 80), False) == 403
    assert status(("10.1.2.3", 80), True, b"my-laptop.lan") == 200


@pytest.mark.threat("framing")
def test_embedding_names_who_may_frame(tmp_path):
    port = free_port()
    home = tmp_path / "home"
    home.mkdir()
    file = home / "access.toml"
    file.write_text(FILE[FILE.index("[web]") :])
    file.chmod(0o600)
    process = start(home, [word.format(port=port) for word in STREAMLIT])
    try:
        until = time.monotonic() + 60
        while True:
            try:
                headers = ask(port, Host="lab.example.org").headers
                break
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.2)
        policy = "frame-ancestors 'self' https://intranet.example.org"
        assert headers["Content-Security-Policy"] == policy
        assert headers["X-Frame-Options"] is None
    finally:
        process.terminate()
        process.communicate()
