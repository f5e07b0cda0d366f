"""What is locked can be listed, and an audit that could not be made does not look like a clean one."""

import json
import re
import subprocess
import sys
from pathlib import Path


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
