"""A program runs in one way wherever the book runs it, and what surrounds it is left as it was."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import press
import pytest
from press import programs
from press.show import errors
from press.trials.older import shown

PRESS = Path(press.__path__[0])
OLD = 'import warnings\nwarnings.warn("old", DeprecationWarning)'
# A deprecation that a library's own lines cause, as Python would show it to its author.
OF_A_LIBRARY = (
    "import warnings\n"
    "code = compile('warnings.warn(\"old\", DeprecationWarning)', 'library.py', 'exec')\n"
    "exec(code)"
)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (OLD, "DeprecationWarning: old"),
        (OF_A_LIBRARY, None),
        ("import warnings\nwarnings.warn('one')\nwarnings.warn('two')", "UserWarning: two"),
        ("import warnings\nwarnings.warn('one')\n[][0]", "IndexError: list index out of range"),
        ("import json\njson.loads('')", "json.decoder.JSONDecodeError: Expecting value: "
         "line 1 column 1 (char 0)"),
        ("print(1)", None),
    ],
)  # fmt: skip
def test_both_say_what_a_person_would_see(code, message):
    """A page that is read, and an old PyTorch that runs it, tell the same of a program."""
    assert errors.run(code).message == message
    assert shown.program(code, "")["message"] == (message or "")


def test_what_was_printed():
    """What a program printed is returned, and printed nowhere else."""
    assert programs.run("print('a')\nprint('b')").printed == "a\nb"


def test_quietly(capsys):
    """Neither stream nor a warning comes out of the context, and both do after it."""
    with programs.quietly():
        print("a")
        print("b", file=sys.stderr)
        warnings.warn("c", stacklevel=1)
    print("after")
    assert capsys.readouterr() == ("after\n", "")


def test_empty_folder():
    """A program stays in an empty folder, which is gone after it, though it raise."""
    before = os.getcwd()
    seen = []

    def leave_a_file():
        with programs.empty_folder() as folder:
            seen.extend([folder, os.listdir()])
            Path("left.txt").touch()
            raise KeyError

    with pytest.raises(KeyError):
        leave_a_file()
    folder, files = seen
    assert files == []
    assert os.getcwd() == before
    assert not os.path.exists(folder)


def test_a_program_alone_finds_nothing_of_this_project():
    """What was imported before is refused as well; the standard library alone is needed."""
    code = f"import sys; sys.path.insert(0, {str(PRESS.parent)!r})\n"
    code += "from press import programs\n"
    code += "programs.refuse('press')\n"
    code += "try:\n    import press.keys\nexcept ImportError as error:\n    print(error)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "press is not there for a program that stands alone\n"
