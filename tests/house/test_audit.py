"""The audit never calls good what it could not look up."""

from __future__ import annotations

from audit import judge

GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


def test_what_is_said() -> None:
    assert judge("pypi", [GOOD, GOOD])[0] == 0
    assert judge("pypi", [GOOD, BAD, UNKNOWN]) == (1, "b 2: CVE-1, mended in 3")
    assert judge("pypi", [GOOD, UNKNOWN])[0] == judge("pypi", [UNKNOWN])[0] == judge("pypi", [])[0] == 2
