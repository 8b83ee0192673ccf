"""The page on the code shows its contracts and its steps as they are."""

import pytest
from press import project as places
from press.show import architecture

CONTRACTS = """
[[tool.importlinter.contracts]]
name = "no torch"
type = "forbidden"
containers = ["press"]

[[tool.importlinter.contracts]]
name = "top > bottom"
type = "layers"
containers = ["press"]
layers = ["top", "left | right", "bottom"]
"""


@pytest.mark.parametrize("package", ["backwardpass", "press"])
def test_each_layer_says_what_it_is_for(package):
    """Every room of a contract is there, and its docstring says in a sentence what it is for."""
    rooms = [
        architecture.room(architecture.folder(package), name)
        for layer in architecture.layers(package)
        for name in layer
    ]
    assert [room.name for room in rooms if not room.purpose.endswith((".", ":"))] == []


def test_layers_are_those_of_the_contract(project):
    """The highest layer comes first, and siblings share one."""
    project.write("pyproject.toml", CONTRACTS)
    assert architecture.layers("press") == [["top"], ["left", "right"], ["bottom"]]


def test_a_package_without_a_contract_is_told(project):
    """A package that no contract is about is named, with what is missing."""
    project.write("pyproject.toml", CONTRACTS)
    with pytest.raises(LookupError, match="no contract of the type layers with the container 'b"):
        architecture.layers("backwardpass")


def test_an_unknown_package_is_told():
    """A package of somebody else is refused, with those there are."""
    with pytest.raises(LookupError, match=r"no package 'torch' .* there are backwardpass, press"):
        architecture.folder("torch")


def test_a_room_lists_its_modules(project):
    """A package shows its modules by name, a module itself alone; private ones are left out."""
    for name in ("__init__", "walk", "_private"):
        project.write(f"conf/press/watch/{name}.py", '"""Watch: one script.  More."""\n')
    project.write("conf/press/keys.py", '"""Keys."""\n')
    place = places.CONF / "press"
    assert architecture.room(place, "watch") == architecture.Room(
        "watch", "Watch: one script.", ("walk",)
    )
    assert architecture.room(place, "keys").modules == ()


def test_steps_are_those_of_the_timeline():
    """Each step is a row: its event, where its function is, and what that says of itself."""
    rows = list(architecture._steps())
    assert ("build-finished", "publish.finished.mark") in [row[:2] for row in rows]
    assert [row for row in rows if not row[2].strip()] == []
