"""What is installed with the product, and whether a hole is known in it.

    make lock     requirements.hashes.txt anew: every version with the hashes of its files
    make audit    this program
    make sbom     .build/sbom.json, the list of parts in CycloneDX's form

The audit compares the versions with our own list of known holes (tests/known_holes.toml), which
needs no network, and asks pip-audit, which needs a source of vulnerabilities. Where that does not
answer, the result is "not checked", never "clean". The exit status is 0 for clean, 1 for a known
hole and 3 for not checked.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCK, HASHES = ROOT / "requirements.lock", ROOT / "requirements.hashes.txt"
HOLES = ROOT / "tests" / "known_holes.toml"
CLEAN, HOLE, NOT_CHECKED = 0, 1, 3
WORDS = {CLEAN: "no known hole", HOLE: "known holes", NOT_CHECKED: "not checked"}


def floors() -> dict[str, Version]:
    """The first version without a known hole, by package."""
    table = tomllib.loads(HOLES.read_text(encoding="utf-8"))["packages"]
    return {canonicalize_name(name): Version(version) for name, version in table.items()}


def exact(path: Path) -> dict[str, Version]:
    """The versions in a file of lines `name==version`, by package."""
    versions = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, equal, rest = line.partition("==")
        if equal and not line.startswith(("#", " ")):
            versions[canonicalize_name(name)] = Version(rest.split()[0])
    return versions


def minimums(path: Path) -> dict[str, Version]:
    """The lowest versions that a file of requirements allows, by package."""
    lowest = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text:
            requirement = Requirement(text)
            bounds = [
                part.version for part in requirement.specifier if part.operator in (">=", "==")
            ]
            lowest[canonicalize_name(requirement.name)] = Version(bounds[0])
    return lowest


def below(versions: dict[str, Version]) -> list[str]:
    """Those of the versions in which a hole is known, as sentences."""
    return [
        f"{name} {versions[name]} is older than {floor}, the first without a known hole"
        for name, floor in floors().items()
        if name in versions and versions[name] < floor
    ]


def ask(path: Path) -> tuple[int, str]:
    """What pip-audit says of a file of requirements with hashes.

    Returns:
        One of `CLEAN`, `HOLE` and `NOT_CHECKED`, and its words.
    """
    command = [sys.executable, "-m", "pip_audit", "-r", str(path)]
    options = ["--require-hashes", "--disable-pip", "--strict", "--progress-spinner", "off"]
    try:
        answer = subprocess.run(
            [*command, *options, "--format", "json"],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return NOT_CHECKED, "pip-audit did not answer within ten minutes"
    return judged(answer.stdout, answer.stderr)


def judged(stdout: str, stderr: str) -> tuple[int, str]:
    """Read pip-audit's answer; anything but a whole list of judged packages is "not checked"."""
    try:
        parts = json.loads(stdout)["dependencies"]
        skipped = [part["name"] for part in parts if "vulns" not in part]
        holes = [f"{part['name']} {hole['id']}" for part in parts for hole in part.get("vulns", [])]
    except (ValueError, KeyError, TypeError):
        lines = stderr.strip().splitlines() or ["pip-audit said nothing"]
        return NOT_CHECKED, lines[-1][:300]
    if holes:
        return HOLE, ", ".join(holes)
    if skipped or not parts:
        return NOT_CHECKED, f"not judged: {', '.join(skipped) or 'everything'}"
    return CLEAN, f"{len(parts)} packages"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    options = parser.parse_args()
    old = below(exact(LOCK)) + below(exact(HASHES))
    status, words = ask(HASHES)
    print(f"our own list: {'; '.join(old) or f'no known hole in {len(exact(HASHES))} packages'}")
    print(f"pip-audit: {WORDS[status]}: {words}")
    if options.json:
        results = {"own_list": old, "pip_audit": WORDS[status], "because": words}
        print(json.dumps({"results": results}))
    return HOLE if old else status


if __name__ == "__main__":
    sys.exit(main())
