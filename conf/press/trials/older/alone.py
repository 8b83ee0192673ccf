"""Run gallery scripts, each as the only file of an empty folder: ``alone.py HOW CONF PACKAGE ...``.

``bare`` runs them where nothing of this project can be imported, ``observed`` under the observation
of the build, from the folders CONF and PACKAGE.  Prints what each printed, raised and wrote, as
JSON.  Each runs in a process of its own, forked from one that has imported torch: importing it
takes longer than all scripts together.
"""

import json
import os
import shutil
import sys
import tempfile
import traceback
from dataclasses import asdict
from pathlib import Path
from runpy import run_path

import matplotlib
import matplotlib.font_manager  # makes its cache, and says so, here and in no script
import numpy  # noqa: F401  (for the forks)
import torch  # noqa: F401

matplotlib.use("agg")
observed, conf, package, *scripts = sys.argv[1:]


if observed == "observed":
    sys.path[:0] = [conf, package]
    from press.watch import observation

    def run(script, copy):
        watched, error = observation.run(Path(script))
        if error is not None:
            raise error
        return [asdict(failure) for failure in watched.failures]
else:
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    from press import programs

    del sys.path[0]
    programs.refuse("backwardpass", "press", "sphinx", "sphinx_gallery")

    def run(script, copy):
        run_path(copy, run_name="__main__")
        return []


def forked(script):
    folder = tempfile.mkdtemp()
    printed, told = folder + ".out", folder + ".json"
    copy = shutil.copy(script, folder)
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        with open(printed, "w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            try:
                said = {"failures": run(script, copy)}
            except BaseException:
                said = {"error": traceback.format_exc()}
            sys.stdout.flush()
            sys.stderr.flush()
        with open(told, "w") as file:
            json.dump(said, file)
        os._exit(0)
    os.waitpid(child, 0)
    with open(printed) as output, open(told) as said:
        result = json.load(said) | {"output": output.read(), "files": os.listdir(folder)}
    for path in (printed, told):
        os.unlink(path)
    shutil.rmtree(folder)
    return result


print(json.dumps([forked(script) for script in scripts]))
