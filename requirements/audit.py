"""Known vulnerabilities of every locked dependency: `make audit`.

Exit code 0: every lock was looked up and nothing is known; 1: something is; 2: a lock could not be
looked up, which says nothing about it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

LOCKS = ("api", "worker", "cuda", "dev")
DATABASE = "https://api.osv.dev/v1/query"


def main() -> int:
    """Look every lock up, and say what came of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--osv-url", default=DATABASE, help="the database (%(default)s)")
    parser.add_argument("locks", nargs="*", default=LOCKS, help="which (all)")
    options = parser.parse_args()
    return max(audit(name, options.osv_url) for name in options.locks)


def audit(name: str, url: str) -> int:
    """Look one lock up; its exit code."""
    lock = Path(__file__).resolve().parent / f"{name}.txt"
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "pip-audit"), "--disable-pip", "--require-hashes",
                "--requirement", str(lock), "--vulnerability-service", "osv", "--osv-url", url,
                "--format", "json", "--output", str(report), "--progress-spinner", "off",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        # It exits with 1 both for a finding and for a failure; only the former comes with a report.
        text = report.read_text() if report.is_file() else ""
    if not text:
        said = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        print(f"{name}.txt: NOT AUDITED, the database could not be asked: {said}", file=sys.stderr)
        return 2
    return judge(f"{name}.txt", text)


def judge(lock: str, report: str) -> int:
    """Say what pip-audit's JSON report has about a lock; the exit code."""
    packages = json.loads(report)["dependencies"]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    found = [
        (package, vulnerability)
        for package in packages
        for vulnerability in package.get("vulns", [])
    ]
    for package, vulnerability in found:
        mended = ", ".join(vulnerability["fix_versions"]) or "nothing yet"
        print(f"{package['name']} {package['version']}: {vulnerability['id']}, mended by {mended}")
    print(f"{lock}: {len(packages)} packages, {len(found)} known vulnerabilities")
    if skipped:
        print(f"{lock}: NOT AUDITED: {', '.join(skipped)}", file=sys.stderr)
    return 1 if found else 2 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
