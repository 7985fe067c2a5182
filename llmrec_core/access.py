"""Who may do what, and how far the pages may be reached.

Without `HOME/access.toml` nobody logs in: the pages are for whoever sits at this machine, and are
served to it alone. With a `[login]` table people log in at an OpenID Connect provider and have the
role that `[roles]` gives them:

    [login]
    server_metadata_url = "https://id.example.org/.well-known/openid-configuration"
    client_id = "llmrec"
    client_secret = "…"
    redirect_uri = "https://llmrec.example.org/oauth2callback"
    cookie_secret = "…"                     # 32 letters or more, drawn at random

    [roles]
    "anna@example.org" = "admin"
    "*@example.org" = "viewer"

    [web]
    hosts = ["llmrec.example.org"]          # names under which the pages are reached
    embed = ["https://intranet.example.org"] # pages that may show them in a frame
"""

from __future__ import annotations

import importlib.util
import ipaddress
import stat
from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from llmrec_core.contract.parsing import Text, parse, parsed
from llmrec_core.errors import AccessError, UsageError
from llmrec_core.files import read_toml
from llmrec_core.language import t
from llmrec_core.settings import Settings

Role = Literal["viewer", "analyst", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "analyst", "admin")
"""Each may do what the ones before it may. A viewer reads and asks for recommendations and reasons;
an analyst also imports data, queues, stops and profiles; an admin also deletes, and sees the data
of everybody and what everybody did."""
FILE = "access.toml"
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")

Filled = Annotated[Text, Field(min_length=1, max_length=2000)]


@parsed
class Login:
    """The OpenID Connect provider."""

    server_metadata_url: Filled
    client_id: Filled
    client_secret: Filled
    redirect_uri: Filled
    cookie_secret: Annotated[Text, Field(min_length=32, max_length=2000)]

    def __post_init__(self) -> None:
        """Refuse addresses over which secrets would travel in the clear."""
        for name in ("server_metadata_url", "redirect_uri"):
            address = urlsplit(vars(self)[name])
            if address.scheme != "https" and not is_loopback(address.hostname or ""):
                raise UsageError(
                    t(
                        "login.{name} must begin with https:// (it is no loopback address)",
                        name=name,
                    )
                )


@parsed
class Web:
    """How the pages are reached."""

    hosts: tuple[Filled, ...] = ()
    """Host names beside those of the loopback."""
    embed: tuple[Filled, ...] = ()
    """Origins whose pages may show ours in a frame."""


@parsed
class Access:
    """What `access.toml` says."""

    login: Login | None = None
    roles: dict[Filled, Role] = field(default_factory=dict)
    """By e-mail address; `*@example.org` stands for a domain, `*` for everybody."""
    web: Web = field(default_factory=Web)

    def role_of(self, email: str) -> Role | None:
        """Return the role of somebody who has logged in, `None` for somebody unknown."""
        roles = {name.lower(): role for name, role in self.roles.items()}
        email = email.strip().lower()
        for name in (email, f"*@{email.rpartition('@')[2]}", "*"):
            if name in roles:
                return roles[name]
        return None


@parsed
class Person:
    """Somebody who uses the pages or the command line."""

    name: Text
    """E-mail address; `local` where nobody logs in."""
    role: Role

    def may(self, role: Role) -> bool:
        """Whether the person's role is at least this one."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def require(self, role: Role, action: str) -> None:
        """Refuse an action that needs a higher role.

        Raises:
            AccessError: naming the role that is needed.
        """
        if not self.may(role):
            raise AccessError(
                t(
                    "{action} needs the role {role}; {name} has the role {own}. Ask whoever keeps "
                    "access.toml",
                    action=action,
                    role=role,
                    name=self.name,
                    own=self.role,
                )
            )


LOCAL = Person("local", "admin")
"""Whoever sits at this machine: the files are theirs anyway."""
GUEST = Person("guest", "viewer")
"""Whoever looks at pages that are served to be read only, where nobody logs in."""
READ_ONLY = "LLMREC_READ_ONLY"
"""Variable that, being 1, lets everybody who opens the pages only read."""


def for_reading(person: Person) -> Person:
    """The same person where the pages are served to be read only: nobody has more than a look."""
    return GUEST if person == LOCAL else Person(person.name, "viewer")


def read_access(settings: Settings) -> Access:
    """Return what `access.toml` of the home says; nobody logs in when there is none.

    Raises:
        UsageError: when the file is wrong, or others on this machine may read its secrets.
    """
    path = settings.home / FILE
    if not path.exists():
        return Access()
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(
            t("{path} holds secrets and others may read it; chmod 600 {path}", path=path)
        )
    return parse(Access, read_toml(path), FILE)


def require_login_packages(access: Access) -> None:
    """Refuse a login that cannot be spoken with, before anybody clicks on it.

    Raises:
        UsageError: with the line to type.
    """
    if access.login is None:
        return
    missing = [name for name in ("authlib", "httpx") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            t(
                "[login] in {file} needs the Python packages {names}: pip install "
                "'llmrec-studio[login]'",
                file=FILE,
                names=", ".join(missing),
            )
        )


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host.lower() in LOOPBACK_HOSTS:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def accepted_hosts(access: Access) -> tuple[str, ...]:
    """Return the host names that the web answers to."""
    names = ["localhost", "127.0.0.1", "[::1]", *access.web.hosts]
    if access.login is not None:
        names.append(urlsplit(access.login.redirect_uri).hostname or "")
    return tuple(dict.fromkeys(name.lower() for name in names if name))


def check_web(
    access: Access,
    *,
    address: str | None,
    hosts: Sequence[str],
    cors: bool,
    xsrf: bool,
    without_login: bool,
) -> None:
    """Refuse to serve the pages to others, or without their guards.

    Args:
        access: what `access.toml` says.
        address: where the web listens; `None` is every address of the machine.
        hosts: host names that are accepted; none, or `*`, is all.
        cors: whether foreign origins are refused.
        xsrf: whether forged uploads are refused.
        without_login: somebody has said that anybody may come in (LLMREC_WITHOUT_LOGIN=1).

    Raises:
        AccessError: naming what is open.
    """
    if access.login is not None or without_login:
        return
    open_parts = []
    local = address is not None and (address.startswith("unix://") or is_loopback(address))
    if not local:
        open_parts.append(t("server.address is {address}", address=address or "0.0.0.0"))
    if not hosts or "*" in hosts:
        open_parts.append(t("server.allowedHosts accepts every name"))
    if not cors:
        open_parts.append(t("server.enableCORS is off"))
    if not xsrf:
        open_parts.append(t("server.enableXsrfProtection is off"))
    if open_parts:
        raise AccessError(
            t(
                "these pages can delete data and start work, and nobody logs in: {parts}. Set up "
                "[login] in {file}, or listen on 127.0.0.1 (`llmrec up`), or say that anybody may "
                "come in: LLMREC_WITHOUT_LOGIN=1",
                parts="; ".join(open_parts),
                file=FILE,
            )
        )
