"""Known faults of what `make setup` installs, by pip-audit: ``make audit``. It needs the network.

pip-audit calls an audit good when it could look nothing up; this does not. Exit code 0: every package was looked up
and nothing is known of it; 1: something is known; 2: not every package could be looked up, so nothing can be said.
"""

from __future__ import annotations

import json
import subprocess
import sys

from sources import ROOT

PIP_AUDIT = (sys.executable, "-m", "pip_audit", "--requirement", str(ROOT / "constraints.txt"))
OPTIONS = ("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off")
SERVICES = ("pypi", "osv")


def audit(service: str) -> tuple[int, str]:
    """Exit code and what is to be said, after asking one service."""
    run = subprocess.run([*PIP_AUDIT, *OPTIONS, "--vulnerability-service", service], capture_output=True, text=True)
    try:
        found = json.loads(run.stdout)["dependencies"]
    except ValueError:
        return 2, f"{service} cannot be reached: {(run.stderr.strip().splitlines() or ['no answer'])[-1][:200]}"
    return judge(service, found)


def judge(service: str, found: list[dict[str, object]]) -> tuple[int, str]:
    """The same of what pip-audit found: one entry a package, with ``vulns`` or with a ``skip_reason``."""
    faults = [
        f"{one['name']} {one['version']}: {fault['id']}, mended in {', '.join(fault['fix_versions']) or 'no version'}"
        for one in found
        for fault in one.get("vulns", [])
    ]
    skipped = [str(one["name"]) for one in found if "skip_reason" in one]
    if faults:
        return 1, "\n".join(faults)
    if skipped or not found:
        return 2, f"{service} knows nothing of {len(skipped)} of {len(found)} packages ({', '.join(skipped[:3])} ...)"
    return 0, f"{len(found)} packages looked up at {service}: nothing is known against them"


def main() -> int:
    """Ask one service after the other until one can say something."""
    for service in SERVICES:
        code, said = audit(service)
        print(said, file=sys.stderr if code else sys.stdout)
        if code != 2:
            return code
    print("make audit: NOT DONE. No advisory database could be asked; try again with a network.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
