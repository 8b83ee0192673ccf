"""The commands of the project: what they say when something is missing, and what they install."""

import importlib.util
import re
import sys
from collections import OrderedDict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def load():
    """The noxfile, as nox loads it."""
    spec = importlib.util.spec_from_file_location("noxfile", ROOT / "noxfile.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def noxfile(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("nox.registry._REGISTRY", OrderedDict())
    return load()


def test_unsupported_python(monkeypatch):
    """An old Python is told so in one sentence, whatever else may be missing."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "version_info", (3, 10, 14, "final", 0))
    monkeypatch.setitem(sys.modules, "nox", None)
    with pytest.raises(SystemExit) as ended:
        load()
    assert ended.value.code == (
        "The Backward Pass needs Python 3.11 or newer; this is Python 3.10. "
        "Make the environment anew with a newer one: python3.11 -m venv .venv"
    )


@pytest.mark.parametrize(
    ("requirements", "missing"),
    [
        (["torch>=2", "Jupyter_Book[all]", "sphinx.design; python_version > '3'"], []),
        (["left-pad", "torch", "left-pad>=1"], ["left-pad"]),
        (["tor", "torch-geometric"], ["tor", "torch-geometric"]),
    ],
)
def test_missing_pins(noxfile, requirements, missing):
    """A requirement without a pin is named, however names are spelt, and once."""
    assert noxfile.missing_pins(requirements) == missing


class Session:
    """Stands for nox's session: notes what would be run, and makes what venv would make."""

    def __init__(self):
        self.ran: list[tuple[str, ...]] = []
        self.fails = False

    def run(self, *command, **options):
        self.ran.append(command)
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.touch()
        elif self.fails:
            raise RuntimeError("no network")

    def error(self, message):
        raise RuntimeError(message)

    def log(self, message):
        pass

    def installs(self) -> int:
        """How often pip was run, since it was asked last."""
        count = sum("pip" in command for command in self.ran)
        self.ran.clear()
        return count


@pytest.fixture
def project(noxfile, tmp_path, monkeypatch):
    """A project with one dependency, in a folder of its own."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/constraints.txt").write_text("numpy==2.0\npygraphviz==2.0.4\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.chdir(tmp_path)
    groups = {name: ["numpy"] for name in ("book", "test", "live", "lint", "browser")}
    monkeypatch.setattr(
        noxfile,
        "PROJECT",
        {
            "dependency-groups": groups,
            "project": {"dependencies": [], "optional-dependencies": {"draw": ["pygraphviz"]}},
        },
    )
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for venv is POSIX")
def test_installs_once(noxfile, project):
    """The second time, with nothing changed, nothing is run at all."""
    session = Session()
    python = noxfile.environment(session, "book")
    assert Path(python) == project / ".nox/book/bin/python"
    assert session.installs() == 1
    assert noxfile.environment(session, "book") == python
    assert session.ran == []


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for venv is POSIX")
@pytest.mark.parametrize("changed", ["conf/constraints.txt", "pyproject.toml"])
def test_installs_what_changed(noxfile, project, changed):
    """When pins or dependencies changed, the environment is brought up to date, and kept."""
    session = Session()
    noxfile.environment(session, "book")
    session.ran.clear()
    with open(project / changed, "a") as file:
        file.write("# changed\n")
    noxfile.environment(session, "book")
    assert not any("venv" in command for command in session.ran)
    assert session.installs() == 1


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for venv is POSIX")
def test_failed_installation_is_repeated(noxfile, project):
    """An environment whose installation failed is not taken for complete."""
    session = Session()
    session.fails = True
    with pytest.raises(RuntimeError, match="no network"):
        noxfile.environment(session, "book")
    session.fails = False
    session.ran.clear()
    noxfile.environment(session, "book")
    assert session.installs() == 1


@pytest.mark.parametrize("name", ["numpy", "pygraphviz"])
def test_missing_constraint(noxfile, project, name):
    """A dependency without a pin ends every session, with what to write and where."""
    path = project / "conf/constraints.txt"
    path.write_text(re.sub(f"{name}==.*\n", "", path.read_text()))
    session = Session()
    with pytest.raises(RuntimeError) as ended:
        noxfile.environment(session, "book")
    assert str(ended.value) == (
        f"conf/constraints.txt pins no version of {name}: add a line NAME==VERSION for each, so "
        "that every build uses the versions it was tested with"
    )
    assert session.ran == []


def sessions() -> dict[str, str]:
    """Sessions of the noxfile, with what their docstrings say."""
    source = (ROOT / "noxfile.py").read_text("utf-8")
    pattern = r'^@nox\.session\(.*\)\ndef (\w+)\(session.*\n    """(.+)"""$'
    return dict(re.findall(pattern, source, re.MULTILINE))


def test_every_session_says_what_it_does(noxfile):
    """``nox --list`` has a sentence for each session."""
    source = (ROOT / "noxfile.py").read_text("utf-8")
    assert len(sessions()) == source.count("@nox.session") > 4
    assert all(said.endswith(".") for said in sessions().values())


@pytest.mark.parametrize(
    "path", ["README.md", "CONTRIBUTING.md", ".ci/run", "conf/press/publish/build.py"]
)
def test_sessions_that_are_named_exist(path):
    """Where a text says ``nox -s NAME``, there is such a session."""
    named = set(re.findall(r"nox -s ([a-z]+)", (ROOT / path).read_text("utf-8")))
    assert named
    assert named <= sessions().keys()


@pytest.mark.parametrize("session", ["docs", "tests"])
def test_continuous_integration_runs_what_the_readme_says(session):
    """The README has one command for the session, which ``.ci/run`` finds and runs."""
    run = (ROOT / ".ci/run").read_text("utf-8")
    assert f'step {session} "$(readme {session})"' in run
    (pattern,) = re.findall(r'grep -E "(.+)" README\.md', run)
    pattern = pattern.replace("$1", session).replace("\\$", "$")
    (command,) = re.findall(pattern, (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert command.startswith("python3 -m venv .venv && .venv/bin/pip install")


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for venv is POSIX")
def test_another_pytorch_has_an_environment_of_its_own(noxfile, project, monkeypatch):
    """BACKWARDPASS_TORCH changes one pin, and leaves the environment of the book alone."""
    (project / "conf/constraints.txt").write_text("torch==1.0\nnumpy==2.0\npygraphviz==2.0.4\n")
    monkeypatch.setattr(noxfile, "TORCH", "9.9")
    session = Session()
    python = noxfile.environment(session, "book")
    assert Path(python) == project / ".nox/book-torch-9.9/bin/python"
    (command,) = (command for command in session.ran if "pip" in command)
    constraints = Path(command[command.index("--constraint") + 1])
    assert constraints.read_text().split() == ["torch==9.9", "numpy==2.0", "pygraphviz==2.0.4"]
    assert Path(noxfile.environment(session, "lint")) == project / ".nox/lint/bin/python"
