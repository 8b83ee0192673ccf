"""Every stepper shows what was recorded, step by step, to mouse and keyboard."""

import pytest
import recordings

# What stands in the bar, what the drawing points at, and where to press for the next step.
STATE = """root => {
  const pointed = selector => [...root.querySelectorAll(selector)];
  const next = root.querySelector('[data-go="next"]').getBoundingClientRect();
  const bar = root.querySelector('.bp-controls').getBoundingClientRect();
  return {
    at: Number(root.querySelector('input[type=range]').value),
    said: root.querySelector('.bp-said').textContent,
    boxes: pointed('svg .bp-node.bp-now').map(box => box.dataset.node),
    edges: [...new Set(pointed('svg .bp-line.bp-now[data-edge]').map(e => e.dataset.edge))],
    drawn: [...new Set(pointed('svg .bp-line[data-edge]').map(e => e.dataset.edge))],
    all: pointed('svg [data-node]').map(box => box.dataset.node),
    x: next.x + next.width / 2, y: next.y + next.height / 2,
    seen: bar.top >= 0 && bar.bottom <= window.innerHeight + 1,
  };
}"""


def with_markup(markup):
    """Only for the pages that have ``markup``."""

    def mark(function):
        function.with_markup = markup
        return function

    return mark


def wrong_with(step: recordings.Step, state: dict) -> list[str]:
    """How a step as shown differs from the step as recorded."""
    found = [f"does not say {words!r}" for words in step.missing_from(state["said"])]
    if step.box is not None:
        boxes = [box for box in state["all"] if stands_for(box, step.box)]
        if state["boxes"] != boxes:
            found.append(f"points at {state['boxes']} and not at {boxes}")
    edges = step.edges & set(state["drawn"])
    if set(state["edges"]) != edges:
        found.append(f"sends along {state['edges']} and not {sorted(edges)}")
    if not state["seen"]:
        found.append("the bar is out of sight")
    return found


def stands_for(box: str, node: int) -> bool:
    first, _, last = box.partition("-")
    return int(first) <= node <= int(last or first)


def walk(root, expected: list[recordings.Step], press) -> list[str]:
    """Press from the beginning to the end; what was wrong on the way."""
    found = []
    root.scroll_into_view_if_needed()
    state = root.evaluate(STATE)
    for at, step in enumerate(expected, start=1):
        press(state)
        state = root.evaluate(STATE)
        wrong = wrong_with(step, state)
        if state["at"] != at:
            wrong.append(f"stands at step {state['at']}")
        found += [f"step {at} ({step.name}): {each}" for each in wrong]
    press(state)  # nothing comes after the end
    if root.evaluate(STATE)["at"] != len(expected):
        found.append("goes on after the last step")
    return found


@with_markup('class="bp-stepper"')
def test_steppers_show_what_was_recorded(page, address, book, page_name):
    """Mouse and keyboard lead through every step, and each shows its node, shapes and numbers."""
    page.goto(address + page_name)
    found = []
    for root in page.query_selector_all(".bp-stepper"):
        identity = root.get_attribute("id")
        expected = recordings.steps(*recordings.recording(book, identity))
        assert len(expected) > 1

        def click(state):
            page.mouse.click(state["x"], state["y"])

        found += [f"{identity} by mouse, {wrong}" for wrong in walk(root, expected, click)]
        root.query_selector("input[type=range]").focus()
        page.keyboard.press("Home")
        found += [
            f"{identity} by keyboard, {wrong}"
            for wrong in walk(root, expected, lambda _: page.keyboard.press("ArrowRight"))
        ]
    assert not found, "\n".join(found[:20])
    assert not page.complaints


def test_another_recording_is_noticed(page, address, book, html):
    """The comparison fails for a recording in which one number, name or order is another."""
    page.goto(address + "gallery/mathematics/plot_sine_of_a_square.html")
    root = page.query_selector(".bp-stepper")
    identity = root.get_attribute("id")

    def walked(change) -> list[str]:
        observed, number = recordings.recording(book, identity)
        change(observed["passes"][int(next(iter(observed["drawings"][number - 1]["passes"])))])
        page.keyboard.press("Home")
        expected = recordings.steps(observed, number)
        return walk(root, expected, lambda _: page.keyboard.press("ArrowRight"))

    root.query_selector("input[type=range]").focus()
    assert walked(lambda ran: None) == []

    def other_number(ran):
        step = next(s for s in reversed(ran["steps"]) if s["values"] and s["values"][0])
        step["values"][0][0] += 0.01

    def other_name(ran):
        ran["graph"]["nodes"][1]["name"] = "CosBackward1"

    def other_order(ran):
        ran["steps"].reverse()

    def other_shape(ran):
        ran["steps"][0]["cotangents"][0]["shape"] = [7, 3]

    for change in (other_number, other_name, other_order, other_shape):
        assert walked(change), f"{change.__name__} was not noticed"


@pytest.mark.parametrize("step", [1, 3])
def test_a_step_can_be_linked_to(page, address, step):
    """An address with a step opens there, and moving to another such address shows that one."""
    place = "gallery/graph/plot_two_layer_mlp.html#steps-two-layer-mlp-1"
    page.goto(f"{address}{place}:{step}")
    root = page.query_selector(".bp-stepper")
    assert root.evaluate(STATE)["at"] == step
    page.evaluate("location.hash = '#steps-two-layer-mlp-1:5'")
    page.wait_for_timeout(200)
    assert root.evaluate(STATE)["at"] == 5
    assert root.query_selector(".bp-share").get_attribute("href") == "#steps-two-layer-mlp-1:5"
