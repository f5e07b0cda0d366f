"""What is locked can be listed, and an audit that could not be made does not look like a clean one."""

import json
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar


def test_the_bill_of_materials_has_every_locked_package_with_its_hashes(
    root: Path, tmp_path: Path
) -> None:
    words = re.search(
        r"cyclonedx-py (requirements .*?)-o ", (root / "Makefile").read_text(), re.DOTALL
    )
    assert words is not None
    options = words[1].replace("\\\n", " ").replace("$$extra", "api").split()
    tool = Path(sys.executable).parent / "cyclonedx-py"
    file = tmp_path / "api.json"
    subprocess.run(
        [str(tool), *options, "-o", str(file)], cwd=root, check=True, capture_output=True
    )
    bill = json.loads(file.read_text())
    locked = re.findall(
        r"^([a-z0-9][\w.-]*)==(\S+)", (root / "requirements" / "api.txt").read_text(), re.MULTILINE
    )
    stated = {(c["name"].lower(), c["version"]) for c in bill["components"]}
    assert stated == set(locked)
    for component in bill["components"]:
        hashes = [h for ref in component["externalReferences"] for h in ref.get("hashes", [])]
        assert hashes, component["name"]
    assert bill["metadata"]["component"]["name"] == "gramd-server"


# As the database's documentation shows an answer to POST /v1/query, shortened to what its schema
# requires and pip-audit reads.
VULNERABILITY = {
    "id": "GHSA-xxxx-0000-test",
    "summary": "Something is wrong with it",
    "details": "Something is wrong with it, in more words.",
    "aliases": ["CVE-2026-00000"],
    "modified": "2026-06-10T02:31:25Z",
    "published": "2026-06-06T01:30:24Z",
    "references": [{"type": "WEB", "url": "https://example.org/advisory"}],
    "affected": [
        {
            "package": {"name": "uvicorn", "ecosystem": "PyPI", "purl": "pkg:pypi/uvicorn"},
            "ranges": [
                {"type": "GIT", "repo": "https://example.org/r", "events": [{"introduced": "0"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "999.1"}]},
            ],
        }
    ],
    "schema_version": "1.6.0",
}


class Database(BaseHTTPRequestHandler):
    """Answers as the vulnerability database does; it knows one package."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert query["package"]["ecosystem"] == "PyPI"
        assert query["version"]
        self.asked.append(query["package"]["name"])
        known = query["package"]["name"] == "uvicorn"
        body = json.dumps({"vulns": [VULNERABILITY]} if known else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (its name above)
        """Nothing: the test prints what went wrong."""


def test_an_audit_asks_for_every_package_and_names_what_is_known(root: Path) -> None:
    lock = (root / "requirements" / "api.txt").read_text()
    locked = re.findall(r"^([a-z0-9][\w.-]*)==\S+( ;)?", lock, re.MULTILINE)
    with ThreadingHTTPServer(("127.0.0.1", 0), Database) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            done = subprocess.run(
                [
                    sys.executable, str(root / "requirements" / "audit.py"), "api",
                    "--osv-url", f"http://127.0.0.1:{server.server_port}/v1/query",
                ],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        finally:
            server.shutdown()
            thread.join()
    assert done.returncode == 1, done.stderr
    # Those with a marker may be for another platform.
    always = {name for name, marker in locked if not marker}
    assert always <= set(Database.asked) <= {name for name, _ in locked}
    found, count = done.stdout.splitlines()
    assert re.fullmatch(r"uvicorn \S+: CVE-2026-00000, mended by 999.1", found)
    assert count == f"api.txt: {len(Database.asked)} packages, 1 known vulnerabilities"


def test_an_audit_without_its_database_says_so(root: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, str(root / "requirements" / "audit.py"), "api",
            # Port 9 discards, where anything listens there at all.
            "--osv-url", "http://127.0.0.1:9/",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "NOT AUDITED" in done.stderr
    assert "known vulnerabilities" not in done.stdout
