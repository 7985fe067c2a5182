"""Who may do what: roles, the file that gives them, and what may be served to whom."""

from __future__ import annotations

import stat

import pytest

from llmrec_core.access import (
    LOCAL,
    Access,
    Person,
    check_web,
    is_loopback,
    read_access,
)
from llmrec_core.contract.spec import DataSpec, RunSpec
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.errors import AccessError, UsageError
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.personal import PersonalLedger
from llmrec_core.types import Measurement, Samples

FILE = """
[login]
server_metadata_url = "https://id.example.org/.well-known/openid-configuration"
client_id = "llmrec"
client_secret = "hush"
redirect_uri = "https://llmrec.example.org/oauth2callback"
cookie_secret = "0123456789abcdef0123456789abcdef"
[roles]
"anna@example.org" = "admin"
"*@example.org" = "analyst"
[web]
hosts = ["lab.example.org"]
embed = ["https://intranet.example.org"]
"""


@pytest.fixture
def write(settings):
    def written(text: str, mode: int = 0o600) -> Access:
        settings.home.mkdir(parents=True, exist_ok=True)
        path = settings.home / "access.toml"
        path.write_text(text)
        path.chmod(mode)
        return read_access(settings)

    return written


@pytest.mark.threat("unauthenticated")
def test_nobody_logs_in_without_a_file(settings):
    assert read_access(settings) == Access()
    assert LOCAL.may("admin")


@pytest.mark.threat("unauthenticated")
def test_roles_are_by_address_then_domain(write):
    access = write(FILE)
    roles = {
        email: access.role_of(email)
        for email in ("anna@example.org", "ANNA@Example.org", "ben@example.org", "eve@evil.org", "")
    }
    assert roles == {
        "anna@example.org": "admin",
        "ANNA@Example.org": "admin",
        "ben@example.org": "analyst",
        "eve@evil.org": None,
        "": None,
    }


@pytest.mark.threat("readable-files")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o777])
def test_file_that_others_may_read_is_refused(write, mode):
    with pytest.raises(UsageError, match="holds secrets and others may read it; chmod 600"):
        write(FILE, mode)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ('"analyst"', '"root"', "is 'root'; expected one of viewer, analyst, admin"),
        ('client_id = "llmrec"', "", "login.client_id is missing"),
        ("[roles]", "[role]", "unknown field 'role'. Did you mean 'roles'"),
        ("0123456789abcdef0123456789abcdef", "short", "cookie_secret"),
        ("https://id.", "http://id.", "server_metadata_url must begin with https://"),
        ("https://llmrec.", "http://llmrec.", "redirect_uri must begin with https://"),
        ("[login]", "[login", "cannot be read as TOML"),
    ],
)
def test_wrong_file_is_a_sentence(write, before, after, sentence):
    with pytest.raises(UsageError, match=sentence.replace("?", r"\?")):
        write(FILE.replace(before, after))


def test_loopback():
    assert all(
        is_loopback(host) for host in ("localhost", "127.0.0.1", "127.8.9.1", "::1", "[::1]")
    )
    assert not any(
        is_loopback(host)
        for host in ("0.0.0.0", "10.0.0.1", "localhost.evil.org", "", "127.0.0.1.nip.io")
    )


GUARDED = {
    "address": "127.0.0.1",
    "hosts": ["localhost"],
    "cors": True,
    "xsrf": True,
    "without_login": False,
}


@pytest.mark.threat("open-to-others")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"address": "0.0.0.0"}, "server.address is 0.0.0.0"),
        ({"address": "192.168.1.5"}, "server.address is 192.168.1.5"),
        ({"address": None}, "server.address is 0.0.0.0"),
        ({"hosts": []}, "allowedHosts accepts every name"),
        ({"hosts": ["localhost", "*"]}, "allowedHosts accepts every name"),
        ({"cors": False}, "enableCORS is off"),
        ({"xsrf": False}, "enableXsrfProtection is off"),
    ],
)
def test_open_pages_need_a_login_or_a_word(write, change, sentence):
    check_web(Access(), **GUARDED)
    with pytest.raises(AccessError, match=sentence):
        check_web(Access(), **GUARDED | change)
    check_web(Access(), **GUARDED | change | {"without_login": True})
    check_web(write(FILE), **GUARDED | change)


@pytest.mark.threat("readable-files")
def test_home_is_the_readers_own(settings):
    settings.home.mkdir(parents=True)
    settings.home.chmod(0o755)  # as version 0.1 left it
    Ledger.open(settings).close()
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700


# ── one person's ledger ──────────────────────────────────────────────────────────────────────────

VIEWER, BEN, EVE, ANNA = (
    Person("vera@example.org", "viewer"),
    Person("ben@example.org", "analyst"),
    Person("eve@example.org", "analyst"),
    Person("anna@example.org", "admin"),
)


def study(name: str, data: str, **fields) -> StudySpec:
    return StudySpec(name, name, (RunSpec(name=f"run on {data}", data=DataSpec(data), **fields),))


@pytest.fixture
def private(any_ledger):
    """Ben's private shop with one finished run, and one run on data of everybody."""
    any_ledger.own("shop", BEN.name)
    ben = PersonalLedger(any_ledger, BEN)
    (run_id,) = ben.add_study(study("secret plans", "shop"))
    lease = any_ledger.claim("w")
    any_ledger.report(lease, curves=[("loss", 0, 1.0)], lines=["a title of the shop"])
    samples = [Samples("ndcg@10", [0.5], [1], "loo/full")]
    any_ledger.finish(lease, [Measurement("mrr", 0.5, "1")], samples, {"lists": {"u": ["canary"]}})
    ben.add_study(study("open", "ml-100k"))
    return run_id


def everything(ledger: Ledger, run_id: str) -> list[object]:
    """Whatever a page can ask about a run, refusals included."""
    asks = [
        ledger.studies,
        ledger.runs,
        lambda: ledger.runs("secret plans"),
        lambda: ledger.run(run_id),
        lambda: ledger.measurements([run_id]),
        lambda: ledger.samples(run_id, "ndcg@10", "loo/full"),
        lambda: ledger.sample_names(run_id),
        lambda: ledger.documents(run_id),
        lambda: ledger.document(run_id, "lists"),
        lambda: ledger.curves(run_id),
        lambda: ledger.logs(run_id),
        lambda: ledger.export_study("secret plans"),
        lambda: ledger.export_study("open"),
        lambda: ledger.request("explain", {"run": run_id}),
        lambda: ledger.request("diagnose", {"data": "shop@2"}),
        lambda: ledger.request("robustness", {"run": run_id}),
        lambda: ledger.request("clean-data", {"data": "shop@2"}),
        lambda: ledger.cancel(run_id),
        lambda: ledger.retry(run_id),
    ]
    answers = []
    for ask in asks:
        try:
            answers.append(ask())
        except (UsageError, AccessError) as error:
            answers.append(str(error))
    return answers


@pytest.mark.threat("leak-between-people")
@pytest.mark.parametrize("other", [VIEWER, EVE])
def test_private_data_does_not_exist_for_others(private, any_ledger, other):
    said = " ".join(map(str, everything(PersonalLedger(any_ledger, other), private)))
    for asked_with in (repr(private), "'secret plans'", "'shop@2'"):
        said = said.replace(asked_with, "")
    for canary in ("canary", "shop", "secret plans", private):
        assert canary not in said, canary
    assert PersonalLedger(any_ledger, other).measurements([private]).empty
    assert [run.study for run in PersonalLedger(any_ledger, other).runs()] == ["open"]


@pytest.mark.parametrize("other", [VIEWER, EVE])
def test_shared_data_is_everybodys(private, any_ledger, other):
    PersonalLedger(any_ledger, BEN).share("shop", True)
    ledger = PersonalLedger(any_ledger, other)
    assert ledger.document(private, "lists") == {"u": ["canary"]}
    assert {row.name for row in ledger.studies()} == {"secret plans", "open"}
    PersonalLedger(any_ledger, BEN).share("shop", False)
    assert not ledger.may_see("shop@2")


@pytest.mark.threat("leak-between-people")
def test_owner_and_admin_see_it(private, any_ledger):
    for person in (BEN, ANNA, LOCAL):
        ledger = PersonalLedger(any_ledger, person)
        assert ledger.run(private).id == private
        assert len(ledger.measurements([private])) == 1


@pytest.mark.threat("unauthenticated")
def test_roles_hold_for_every_action(any_ledger):
    """Each action by each role; the audit log holds them all, refused ones too."""
    owned = PersonalLedger(any_ledger, BEN).enqueue(RunSpec(name="bens"), "s")
    free = any_ledger.enqueue(RunSpec(name="nobodys", seed=1), "s")
    actions = {
        "recommend": lambda ledger: ledger.request("recommend", {"run": free}),
        "explain": lambda ledger: ledger.request("explain", {"run": free}),
        "profile": lambda ledger: ledger.request("profile", {"model": "x"}),
        "meters": lambda ledger: ledger.request("meters", {}),
        "robustness": lambda ledger: ledger.request("robustness", {"run": free}),
        "clean shared": lambda ledger: ledger.request("clean-data", {"data": "films"}),
        "clean bens": lambda ledger: ledger.request("clean-data", {"data": "shop@1"}),
        "enqueue": lambda ledger: ledger.enqueue(RunSpec(name="n", seed=2), "s"),
        "add study": lambda ledger: ledger.add_study(study("t", "ml-100k")),
        "cancel": lambda ledger: ledger.cancel(free),
        "retry": lambda ledger: ledger.retry(free),
        "cancel bens": lambda ledger: ledger.cancel(owned),
        "share": lambda ledger: ledger.share("shop", True),
    }
    any_ledger.own("shop", BEN.name)
    allowed = {"viewer": {"recommend", "explain"}}
    allowed["analyst"] = allowed["viewer"] | {
        "profile",
        "meters",
        "robustness",
        "enqueue",
        "add study",
        "cancel",
        "retry",
    }
    allowed["admin"] = set(actions)
    for person in (VIEWER, EVE, ANNA):
        ledger = PersonalLedger(any_ledger, person)
        done = set()
        for name, action in actions.items():
            try:
                action(ledger)
                done.add(name)
            except AccessError as error:
                assert f"{person.name} has the role {person.role}" in str(error)
        assert done == allowed[person.role], person
        log = [row for row in any_ledger.actions() if row.person == person.name]
        assert len(log) == len(actions)
        assert sum(row.allowed for row in log) == len(done)


OF_WORKERS = {
    "add_document", "add_worker", "beat", "claim", "claim_request", "close_request", "fail",
    "finish", "free_silent_requests", "free_silent_runs", "prune_requests", "put_back",
    "release_request", "renew", "report", "rewrite", "writing",
}  # fmt: skip
"""What workers, runs and commands do on behalf of nobody."""
READING = {
    "actions", "close", "damaged", "owners", "open_questions", "questions_before", "reading",
    "require_intact", "runs_waiting", "usual_answer_s", "where", "workers",
}  # fmt: skip
"""What shows nothing that belongs to one person, or is shown on pages of admins alone."""
CHECKED_BEFORE = {"disown", "note", "own"}
"""Called by pages inside `acting` alone (pages/shared/data_access.py)."""


@pytest.mark.threat("unauthenticated", "leak-between-people")
def test_no_method_of_the_ledger_escapes_the_check():
    """A new one must be overridden for people, or stand on one of the lists above."""
    every = {name for name in dir(Ledger) if not name.startswith("_")}
    unchecked = {name for name in every if getattr(PersonalLedger, name) is getattr(Ledger, name)}
    assert unchecked == OF_WORKERS | READING | CHECKED_BEFORE


@pytest.mark.threat("unauthenticated")
def test_order_of_the_queue_is_changed_by_those_whose_it_is(any_ledger):
    bens = PersonalLedger(any_ledger, BEN).enqueue(RunSpec(name="bens"), "s")
    for person in (VIEWER, EVE):
        ledger = PersonalLedger(any_ledger, person)
        for action in (
            lambda ledger=ledger: ledger.put_first(bens),
            lambda ledger=ledger: ledger.pause_queue("s"),
            lambda ledger=ledger: ledger.resume_queue("s"),
            lambda ledger=ledger: ledger.remove_person("ml-100k", "1", 0),
        ):
            with pytest.raises(AccessError, match="needs the role admin"):
                action()
    assert any_ledger.run(bens).state == "queued"
    for person in (BEN, ANNA):
        ledger = PersonalLedger(any_ledger, person)
        ledger.put_first(bens)
        assert ledger.pause_queue("s") == ledger.resume_queue("s") == 1


@pytest.mark.threat("leak-between-people")
def test_answers_are_for_who_asked(any_ledger):
    free = any_ledger.enqueue(RunSpec(name="a"), "s")
    ben, eve = PersonalLedger(any_ledger, BEN), PersonalLedger(any_ledger, EVE)
    request = ben.request("recommend", {"run": free, "user": "canary"})
    assert ben.answer(request).payload["user"] == "canary"
    assert eve.answer(request) is None
    assert any_ledger.claim_request("w").asked_by == BEN.name


@pytest.mark.threat("leak-between-people")
def test_a_name_of_somebody_else_is_taken(any_ledger):
    any_ledger.own("shop", BEN.name)
    any_ledger.own("shop@2", BEN.name)
    with pytest.raises(AccessError, match="exists already; choose another name"):
        any_ledger.own("shop", EVE.name)
    any_ledger.disown("shop")
    any_ledger.own("shop", EVE.name)
