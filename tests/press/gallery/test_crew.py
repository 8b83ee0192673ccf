"""Which scripts run side by side, and where, and what is told when a process of theirs ends."""

import os
import types

import pytest
from press import fences
from press.gallery import crew
from press.observed import store
from press.observed.failure import Failure
from press.observed.records import Observed
from sphinx_gallery import gen_rst

CURRENT = Observed(completed=True)
STOPPED = Observed(completed=False)
FAILED = Observed(completed=True, failures=(Failure("a.py", 1, "nan", ""),))


@pytest.fixture
def app():
    """As much of Sphinx as the hooks look at."""
    conf = {"filename_pattern": "/plot_", "parallel": False}
    return types.SimpleNamespace(config=types.SimpleNamespace(sphinx_gallery_conf=conf))


@pytest.fixture
def generated(monkeypatch):
    """Stand-in for what runs a script: it tells which process ran it."""

    here = os.getpid()

    def generate(fname, target_dir, src_dir, gallery_conf):
        if fname == "plot_crash.py" and os.getpid() != here:
            os._exit(7)
        return fname, os.getpid(), target_dir.is_dir()

    monkeypatch.setattr(gen_rst, "generate_file_rst", generate)
    yield generate
    crew.release(None)
    assert gen_rst.generate_file_rst is generate


def generate(script):
    return gen_rst.generate_file_rst(script.name, None, script.parent, {})


@pytest.mark.skipif(not crew.CAN_FORK, reason="processes are forked on Linux only")
def test_outdated_scripts_run_in_other_processes(project, app, generated, monkeypatch):
    """Scripts that have to run do so in processes that end with the gallery; others do not."""
    monkeypatch.setenv("BACKWARDPASS_JOBS", "2")
    outdated = [project.write(f"examples/part/plot_{name}.py") for name in "abc"]
    current = project.write("examples/part/plot_current.py")
    store.write(current, CURRENT)
    crew.hire(app)
    ran = [generate(script) for script in outdated]
    assert [(name, folder) for name, _, folder in ran] == [(s.name, True) for s in outdated]
    assert os.getpid() not in {process for _, process, _ in ran}
    # A target of its own is what sphinx-gallery gives; here nothing looks at it but the stand-in.
    project.write("target/here")
    assert gen_rst.generate_file_rst(current.name, project.root, current.parent, {}) == (
        current.name,
        os.getpid(),
        True,
    )


@pytest.mark.skipif(not crew.CAN_FORK, reason="processes are forked on Linux only")
@pytest.mark.parametrize(
    ("jobs", "pattern", "observed"),
    [("1", "/plot_", {}), ("2", "/plot_a", {}), ("2", "/plot_", {"b": CURRENT})],
    ids=["one job", "one script asked for", "one script outdated"],
)
def test_a_lone_script_runs_in_another_process(
    project, app, generated, monkeypatch, jobs, pattern, observed
):
    """Pages are read in forks of this process: not even one script runs in it."""
    monkeypatch.setenv("BACKWARDPASS_JOBS", jobs)
    app.config.sphinx_gallery_conf["filename_pattern"] = pattern
    scripts = [project.write(f"examples/part/plot_{name}.py") for name in "ab"]
    for name, found in observed.items():
        store.write(project.root / f"examples/part/plot_{name}.py", found)
    crew.hire(app)
    assert generate(scripts[0])[1] != os.getpid()
    assert app.config.sphinx_gallery_conf["parallel"] is False


def test_nothing_to_run_needs_no_process(project, app, generated):
    """Where every script is current, nothing is forked and torch is not imported."""
    store.write(project.write("examples/part/plot_a.py"), CURRENT)
    crew.hire(app)
    assert gen_rst.generate_file_rst is generated


@pytest.mark.parametrize(("outdated", "parallel"), [(3, False), (16, 2)])
def test_where_no_process_can_be_forked(project, app, monkeypatch, outdated, parallel):
    """Elsewhere sphinx-gallery's workers are used, where there is enough for them to do."""
    monkeypatch.setattr(crew, "CAN_FORK", False)
    monkeypatch.setenv("BACKWARDPASS_JOBS", "2")
    for number in range(outdated):
        project.write(f"examples/part/plot_{number}.py")
    crew.hire(app)
    assert app.config.sphinx_gallery_conf["parallel"] == parallel


@pytest.mark.skipif(not crew.CAN_FORK, reason="processes are forked on Linux only")
def test_process_that_crashes(project, app, generated, monkeypatch):
    """A process that ends before its script is reported with it, and the other scripts are run."""
    monkeypatch.setenv("BACKWARDPASS_JOBS", "2")
    said = []
    monkeypatch.setattr(crew, "report_crash", lambda *what: said.append(what))
    names = ["a", "b", "crash", "c", "d", "e"]
    scripts = [project.write(f"examples/part/plot_{name}.py") for name in names]
    crew.hire(app)
    ran = [gen_rst.generate_file_rst(s.name, project.root, s.parent, {}) for s in scripts]
    assert [name for name, _, _ in ran] == [script.name for script in scripts]
    assert [name for name, process, _ in ran if process == os.getpid()] == ["plot_crash.py"]
    assert said == [("examples/part/plot_crash.py:1", "script", "with status 7")]


@pytest.mark.parametrize(
    ("source", "executes"),
    [
        ("```{doctest}\n>>> 1\n1\n```", True),
        ("```{answer} ex-a\nright = 1\n```", True),
        ("- one\n\n  ```{negative-control} part/plot_x\n  ```", True),
        ("```{embed} part/plot_x\n```", False),
        ("The fence `{doctest}` is run.", False),
    ],
)
def test_pages_that_execute_something(project, source, executes):
    """torch is imported before pages are read only where reading one of them executes something."""
    assert fences.executes(project.write("book/a.md", source)) is executes


def test_only_success_is_current(project):
    """A script has to run again unless its last run, as it is now, had no failure."""
    for name, observed in {
        "current": CURRENT,
        "failed": FAILED,
        "stopped": STOPPED,
        "changed": CURRENT,
        "new": None,
    }.items():
        script = project.write(f"examples/part/plot_{name}.py")
        if observed is not None:
            store.write(script, observed)
        if name == "changed":
            script.write_text("x = 1\n")
    assert [script.stem for script in store.outdated()] == [
        "plot_changed",
        "plot_failed",
        "plot_new",
        "plot_stopped",
    ]


@pytest.mark.parametrize(
    ("source", "made"), [("```{code-cell} python\n1\n```\n", True), ("No cell.\n", False)]
)
def test_the_store_of_cells_is_there_before_anything_reads(project, app, source, made):
    """Readers in several processes find the database of executed cells: none has to make it."""
    page = project.write("book/page.md", source)
    app.config.nb_execution_cache_path = str(project.root / "executed")
    env = types.SimpleNamespace(doc2path=lambda name: str(page))
    crew.ready(app, env, ["page"])
    assert (project.root / "executed" / "global.db").is_file() == made
