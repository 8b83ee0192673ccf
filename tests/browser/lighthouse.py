"""Figures of Lighthouse for five pages, on a phone, each the median of three runs.

``nox -s browser -- --lighthouse``.  Lighthouse is an npm package; npm fetches it once, into the
session's environment.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from served import ROOT, SWITCHES, chromium, serve

PACKAGE = "lighthouse@12.2.3"  # 13 wants a newer Node than most systems have
PAGES = (
    "index.html",
    "graph/two_layer_mlp.html",
    "gallery/graph/plot_two_layer_mlp.html",
    "reference/error_index.html",
    "operators/index.html",
)
RUNS = 3


def program() -> Path:
    """Lighthouse, installed if it is not yet."""
    home = Path(sys.prefix) / PACKAGE
    found = home / "node_modules/lighthouse/cli/index.js"
    if not found.is_file():
        if not shutil.which("npm"):
            sys.exit("Lighthouse is an npm package, and there is no npm: install Node.js with npm")
        home.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(home), PACKAGE]
        subprocess.run(command, check=True)
    return found


def scores(address: str, report: Path) -> dict[str, float]:
    """One run: each category's score, and the bytes transferred."""
    switches = " ".join(("--headless=new", *SWITCHES))
    command = ["node", str(program()), address, "--quiet", "--output=json"]
    command += [f"--output-path={report}", f"--chrome-flags={switches}"]
    subprocess.run(command, check=True, env=os.environ | {"CHROME_PATH": chromium()})
    told = json.loads(report.read_text("utf-8"))
    found = {name: category["score"] for name, category in told["categories"].items()}
    missed = [
        f"{audit['id']} ({name})"
        for name, category in told["categories"].items()
        for audit in (told["audits"][ref["id"]] for ref in category["auditRefs"] if ref["weight"])
        if name != "performance" and audit["score"] not in (1, None)
    ]
    found["bytes"] = told["audits"]["total-byte-weight"]["numericValue"]
    if missed:
        print("   not met:", ", ".join(missed))
    return found


def main() -> None:
    """Print a row for each page."""
    if chromium() is None:
        sys.exit("no Chromium was found: install it, or name one in the variable CHROMIUM")
    server = serve(ROOT / "_build/html")
    with tempfile.TemporaryDirectory() as folder:
        for page in PAGES:
            address = f"http://127.0.0.1:{server.server_port}/{page}"
            runs = [scores(address, Path(folder, "report.json")) for _ in range(RUNS)]
            medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
            told = ", ".join(f"{name} {value:g}" for name, value in medians.items())
            print(f"{page}: {told}", flush=True)
    server.shutdown()


if __name__ == "__main__":
    main()
