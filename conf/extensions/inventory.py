"""Resolve links to PyTorch's reference without a network, from a list kept in this project.

A line of ``conf/inventories/torch.txt`` is the kind of an object and its name; where its page is
not ``generated/<name>.html``, the page follows.  Sphinx reads inventories compressed: this
extension writes one from the list.
"""

import zlib
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

from .sidecar import CONF, ROOT


def entries(listing: str) -> list[str]:
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
                f"conf/inventories/torch.txt:{number}: a line is «py:kind name» or "
                f"«py:kind name page», and this one is {line!r}"
            )
        kind, name, *page = fields
        found.append(f"{name} {kind} 1 {page[0] if page else f'generated/{name}.html#$'} -")
    return found


def write(app: Sphinx, config: Config) -> None:
    """Write the inventory and point intersphinx to it."""
    listing = (CONF / "inventories" / "torch.txt").read_text("utf-8")
    header = (
        "# Sphinx inventory version 2\n# Project: PyTorch\n# Version: stable\n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    target = ROOT / "_build" / "inventories" / "torch.inv"
    target.parent.mkdir(parents=True, exist_ok=True)
    body = zlib.compress(("\n".join(entries(listing)) + "\n").encode())
    Path(target).write_bytes(header.encode() + body)
    config.intersphinx_mapping = {"torch": (config.torch_reference, str(target))}


def setup(app: Sphinx) -> dict:
    app.add_config_value("torch_reference", "", "env", str)
    # intersphinx reads its mapping at priority 800.
    app.connect("config-inited", write, priority=700)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
