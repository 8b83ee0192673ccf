"""Resolve links to other references without a network, from lists kept in this project.

A line of ``conf/inventories/torch.txt`` is the kind of an object and its name; where its page is
not ``generated/<name>.html``, the page follows; likewise Python's in ``python.txt``, where a page
always follows.  Sphinx reads inventories compressed: this extension writes them from the lists.
"""

import zlib
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

from press.project import CONF, ROOT


def entries(listing: str, source: str = "torch.txt") -> list[str]:
    """The entries of an inventory for the lines of ``listing``.

    >>> entries("py:function torch.autograd.grad")
    ['torch.autograd.grad py:function 1 generated/torch.autograd.grad.html#$ -']
    """
    found = []
    for number, line in enumerate(listing.splitlines(), start=1):
        fields = line.split("#")[0].split() if line.lstrip().startswith("#") else line.split()
        if not fields:
            continue
        if len(fields) not in (2, 3) or not fields[0].startswith("py:"):
            raise ConfigError(
                f"conf/inventories/{source}:{number}: a line is «py:kind name» or "
                f"«py:kind name page», and this one is {line!r}"
            )
        kind, name, *page = fields
        found.append(f"{name} {kind} 1 {page[0] if page else f'generated/{name}.html#$'} -")
    return found


def write(app: Sphinx, config: Config) -> None:
    """Write the inventories and point intersphinx to them."""
    config.intersphinx_mapping = {
        "torch": (config.torch_reference, _written("torch", "PyTorch")),
        "python": (config.python_reference, _written("python", "Python")),
    }


def _written(name: str, project: str) -> str:
    listing = (CONF / "inventories" / f"{name}.txt").read_text("utf-8")
    header = (
        f"# Sphinx inventory version 2\n# Project: {project}\n# Version: stable\n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    target = ROOT / "_build" / "inventories" / f"{name}.inv"
    target.parent.mkdir(parents=True, exist_ok=True)
    body = zlib.compress(("\n".join(entries(listing, f"{name}.txt")) + "\n").encode())
    Path(target).write_bytes(header.encode() + body)
    return str(target)


def setup(app: Sphinx) -> None:
    app.add_config_value("torch_reference", "", "env", str)
    app.add_config_value("python_reference", "", "env", str)
