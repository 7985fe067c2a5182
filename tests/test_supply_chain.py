"""What is installed with the product: exact, hashed, without a hole that we know of, and no secret in it."""

from __future__ import annotations

import json
import subprocess

import pytest
from detect_secrets import SecretsCollection
from detect_secrets.settings import transient_settings
from packaging.version import Version

from tests import supply_chain
from tests.supply_chain import CLEAN, HOLE, NOT_CHECKED, ROOT, below, exact, judged, minimums

DETECTORS = (
    "ArtifactoryDetector AWSKeyDetector AzureStorageKeyDetector BasicAuthDetector DiscordBotTokenDetector "
    "GitHubTokenDetector GitLabTokenDetector JwtTokenDetector MailchimpDetector NpmDetector OpenAIDetector "
    "PrivateKeyDetector PypiTokenDetector SendGridDetector SlackDetector StripeDetector TwilioKeyDetector"
)
INVENTED = {"llmrec_core/redaction.py", "tests/ledger/test_ledger.py", "tests/test_redaction.py"}
"""Files whose subject are credentials; theirs are made up."""


@pytest.mark.threat("known-holes")
def test_no_version_with_a_known_hole_is_pinned_or_allowed():
    assert below(exact(supply_chain.LOCK)) == []
    assert below(exact(supply_chain.HASHES)) == []
    assert below(minimums(ROOT / "requirements.txt")) == []
    assert below({"torch": Version("2.9.1")}) == [
        "torch 2.9.1 is older than 2.10, the first without a known hole"
    ]


@pytest.mark.threat("known-holes")
def test_every_requirement_is_in_the_file_of_hashes_at_the_tested_version():
    hashed, tested = exact(supply_chain.HASHES), exact(supply_chain.LOCK)
    assert minimums(ROOT / "requirements.txt").keys() <= hashed.keys()
    assert {name: hashed[name] for name in hashed.keys() & tested.keys()} == {
        name: tested[name] for name in hashed.keys() & tested.keys()
    }, "make lock"
    lines = supply_chain.HASHES.read_text().splitlines()
    entries = [place for place, line in enumerate(lines) if "==" in line and line[0] not in "# "]
    assert len(entries) == len(hashed)
    for place in entries:
        assert lines[place].endswith("\\")
        assert lines[place + 1].strip().startswith("--hash=sha256:"), lines[place]


@pytest.mark.threat("known-holes")
@pytest.mark.parametrize(
    ("stdout", "stderr", "expected"),
    [
        (json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": []}]}), "", CLEAN),
        (json.dumps({"dependencies": [{"name": "a", "vulns": [{"id": "CVE-1"}]}]}), "", HOLE),
        (json.dumps({"dependencies": [{"name": "a", "skip_reason": "?"}]}), "", NOT_CHECKED),
        (json.dumps({"dependencies": []}), "", NOT_CHECKED),
        ("", "ERROR: Dependency not found and could not be audited: a", NOT_CHECKED),
        ("", "", NOT_CHECKED),
        ("[]", "", NOT_CHECKED),
    ],
)
def test_silence_is_not_clean(stdout, stderr, expected):
    status, words = judged(stdout, stderr)
    assert status == expected
    assert words


@pytest.mark.threat("secrets-in-code")
def test_no_secret_is_in_the_repository():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [ROOT / name for name in listed.stdout.splitlines() if name not in INVENTED]
    assert secrets_in(files) == []


@pytest.mark.threat("secrets-in-code")
def test_a_secret_would_be_found(tmp_path):
    (tmp_path / "a.py").write_text('KEY = "AKIA' + "Q3EGFZ7XL2WMB4TN" + '"\n')
    (tmp_path / "b.toml").write_text("url = 'postgresql://anna:" + "hunter2hunter2@db.corp/x'\n")
    assert [path.name for path, _ in secrets_in([tmp_path / "a.py", tmp_path / "b.toml"])] == [
        "a.py",
        "b.toml",
    ]


def secrets_in(files):
    """Files with the kinds of secret in them."""
    found = SecretsCollection()
    with transient_settings({"plugins_used": [{"name": name} for name in DETECTORS.split()]}):
        for path in files:
            found.scan_file(str(path))
    return sorted((ROOT / name, secret.type) for name, secret in found)
