"""Every stepper shows what was recorded, step by step, to mouse and keyboard."""

import re

import axe
import pytest
import recordings

# What stands in the bar, what each drawing points at, and where to press for the next step.
STATE = """root => {
  const next = root.querySelector('[data-go="next"]').getBoundingClientRect();
  const bar = root.querySelector('.bp-controls').getBoundingClientRect();
  const said = [...root.querySelectorAll('.bp-said')];
  const views = [...root.querySelectorAll('.bp-view')].map((view, i) => {
    const words = said[i].cloneNode(true);
    words.querySelectorAll('.bp-formula, .bp-to-lines').forEach(part => part.remove());
    const boxes = selector => [...view.querySelectorAll(selector)].map(box => box.dataset.node);
    const edges = selector =>
      [...new Set([...view.querySelectorAll(selector)].map(edge => edge.dataset.edge))];
    return {
      said: words.textContent,
      formulas: said[i].querySelectorAll('.katex').length,
      boxes: boxes('svg .bp-node.bp-now'), all: boxes('svg [data-node]'),
      edges: edges('svg .bp-line.bp-now[data-edge]'), drawn: edges('svg .bp-line[data-edge]'),
      arrived: edges('svg .bp-line.bp-in[data-edge]'),
    };
  });
  const lines = name => [...document.querySelectorAll(`.${name}`)].map(({id}) => id).sort();
  return {
    views, made: lines('bp-made'), called: lines('bp-called'),
    to: [...root.querySelectorAll('.bp-to-lines a')].map(link => link.hash.slice(1)).sort(),
    at: Number(root.querySelector('input[type=range]').value),
    x: next.x + next.width / 2, y: next.y + next.height / 2,
    seen: bar.top >= 0 && bar.bottom <= window.innerHeight + 1,
  };
}"""


# The lines of code that the page names.
THERE = "() => [...document.querySelectorAll('[id^=\"line-\"]')].map(({id}) => id)"


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
    return found


def wrong_lines(steps: list[recordings.Step], state: dict, there: set[str]) -> list[str]:
    """How the lines of code that are marked differ from those recorded, where the page has them."""
    found = []
    for which in ("made", "called"):
        lines = sorted({getattr(step, which) for step in steps} & there)
        if state[which] != lines:
            found.append(f"marks as {which} {state[which]} and not {lines}")
    linked = sorted(x for step in steps for x in (step.made, step.called) if x in there)
    if state["to"] != linked:
        found.append(f"links to {state['to']} and not to {linked}")
    return found


def stands_for(box: str, node: int) -> bool:
    first, _, last = box.partition("-")
    return int(first) <= node <= int(last or first)


def walk(root, expected: list[list[recordings.Step]], press) -> list[str]:
    """Press from the beginning to the end; what was wrong on the way."""
    found = []
    root.scroll_into_view_if_needed()
    state = root.evaluate(STATE)
    there = set(root.evaluate(THERE))
    for at, steps in enumerate(expected, start=1):
        press(state)
        state = root.evaluate(STATE)
        wrong = [] if state["at"] == at else [f"stands at step {state['at']}"]
        if not state["seen"]:
            wrong.append("the bar is out of sight")
        for step, shown in zip(steps, state["views"], strict=True):
            wrong += wrong_with(step, shown)
        wrong += wrong_lines(steps, state, there)
        found += [f"step {at} ({steps[0].name}): {each}" for each in wrong]
    press(state)  # nothing comes after the end
    if root.evaluate(STATE)["at"] != len(expected):
        found.append("goes on after the last step")
    return found


def timeline(root, book) -> list[list[recordings.Step]]:
    """What a stepper has to show, step by step, in each of its drawings."""
    views = [view.get_attribute("data-recording") for view in root.query_selector_all(".bp-view")]
    return recordings.together(
        [recordings.phases(*recordings.recording(book, name)) for name in views]
    )


@with_markup('class="bp-stepper"')
def test_steppers_show_what_was_recorded(page, address, book, page_name):
    """Mouse and keyboard lead through every step, and each shows its node, shapes and numbers."""
    page.goto(address + page_name)
    found = []
    for root in page.query_selector_all(".bp-stepper"):
        identity = root.get_attribute("id")
        expected = timeline(root, book)
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


def test_another_recording_is_noticed(page, address, book):
    """The comparison fails for a recording in which one number, name or order is another."""
    page.goto(address + "gallery/mathematics/plot_sine_of_a_square.html")
    root = page.query_selector(".bp-stepper")
    name = root.query_selector(".bp-view").get_attribute("data-recording")

    def walked(change) -> list[str]:
        observed, number, script = recordings.recording(book, name)
        drawing = observed["drawings"][number - 1]
        change(observed["passes"][int(next(iter(drawing["passes"])))], drawing)
        page.keyboard.press("Home")
        expected = recordings.together([recordings.phases(observed, number, script)])
        return walk(root, expected, lambda _: page.keyboard.press("ArrowRight"))

    root.query_selector("input[type=range]").focus()
    assert walked(lambda ran, drawing: None) == []

    def other_number(ran, _):
        step = next(s for s in reversed(ran["steps"]) if s["values"] and s["values"][0])
        step["values"][0][0] += 0.01

    def other_name(ran, _):
        ran["graph"]["nodes"][1]["name"] = "CosBackward1"

    def other_order(ran, _):
        ran["steps"].reverse()

    def other_shape(ran, _):
        ran["steps"][0]["cotangents"][0]["shape"] = [7, 3]

    def other_line(_, drawing):
        drawing["lines"][0] -= 1

    def other_call(ran, _):
        ran["line"] -= 1

    changes = (other_number, other_name, other_order, other_shape, other_line, other_call)
    for change in changes:
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


def test_paths_meet_in_the_drawing(page, address):
    """Where cotangents are added, every edge along which one came is marked, and only those."""
    page.goto(address + "gallery/mathematics/plot_three_walks_over_a_diamond.html")
    root = page.query_selector(".bp-stepper")
    root.query_selector("input[type=range]").focus()
    seen = {}
    for _ in range(root.evaluate("root => Number(root.querySelector('input').max)")):
        page.keyboard.press("ArrowRight")
        state = root.evaluate(STATE)["views"][0]
        if "the sum of 2 cotangents" in state["said"]:
            seen[state["boxes"][0]] = state
    assert seen
    for box, state in seen.items():
        assert len(state["arrived"]) == 2, f"at node {box} arrows {state['arrived']} are marked"
    assert state["formulas"] == 1


@pytest.mark.parametrize("width", [360, 800])
def test_the_bar_stays_in_sight(page, address, width):
    """While a drawing is on the screen its buttons are, on a phone too, after a resize as well."""
    page.goto(address + "gallery/graph/plot_two_layer_mlp.html")
    page.set_viewport_size({"width": width, "height": 740})
    root = page.query_selector(".bp-stepper")
    root.evaluate(
        "root => root.querySelector('svg').scrollIntoView({block: 'start', behavior: 'instant'})"
    )
    assert root.evaluate(STATE)["seen"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_marked_lines_can_be_read(page, address, theme):
    """Code keeps its contrast on the marked lines, and these say that they are the current ones."""
    page.emulate_media(color_scheme=theme)
    page.goto(address + "gallery/graph/plot_two_layer_mlp.html#steps-two-layer-mlp-1:12")
    marked = page.locator('.bp-made[aria-current="step"], .bp-called[aria-current="step"]')
    assert marked.count() == 2
    page.locator(".bp-recorded").first.focus()
    assert page.locator(".bp-made").count() == 1
    rules = [*axe.COLOURS, "nested-interactive", "aria-allowed-attr", "aria-allowed-role"]
    assert axe.violations(page, rules) == []


def test_from_the_drawing_to_the_line_and_back(page, address):
    """The link in the panel leads to the line, and the line, when pressed, back to its node."""
    page.set_viewport_size({"width": 1000, "height": 500})
    page.goto(address + "gallery/graph/plot_two_layer_mlp.html#steps-two-layer-mlp-1:3")
    in_sight = "e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.top < 500; }"
    link = page.locator(".bp-to-lines a").first
    line = page.locator(link.get_attribute("href"))
    link.click()
    page.wait_for_timeout(300)
    assert line.evaluate(in_sight)
    line.press("Enter")
    selected = page.locator(".bp-selected")
    assert selected.count() == 1
    assert selected.first.evaluate(in_sight)


DEAD = {
    "without JavaScript": {"java_script_enabled": False},
    "without the script": {"block": "**/stepper.js*"},
    "with half a list": {"cut": True},
}


@pytest.mark.parametrize("how", DEAD)
def test_without_the_stepper_everything_is_there(browser, address, how):
    """Drawing and list stand, the buttons do not, and a sentence says what is missing."""
    options = dict(DEAD[how])
    block, cut = options.pop("block", None), options.pop("cut", False)
    context = browser.new_context(**options)
    page = context.new_page()
    if block:
        page.route(block, lambda route: route.abort())
    if cut:

        def halve(route):
            body = route.fetch().text()
            route.fulfill(body=re.sub(r"<li data-node[^>]*>.*?</li>", "", body, count=1))

        page.route("**/*.html", halve)
    page.goto(address + "gallery/mathematics/plot_sine_of_a_square.html")
    page.wait_for_selector(".bp-without", state="visible")
    if block:
        page.wait_for_timeout(4500)
    assert page.is_visible(".bp-stepper svg")
    assert page.locator(".bp-steps > li").last.is_visible()
    assert not page.is_visible(".bp-controls")
    context.close()


def test_paper_has_the_drawing_and_the_list(page, address):
    """Printed half-way through, in a dark theme, a page has the whole drawing and every step."""
    page.emulate_media(color_scheme="dark")
    page.goto(address + "gallery/mathematics/plot_sine_of_a_square.html#steps-sine-of-a-square-1:1")
    page.emulate_media(media="print", color_scheme="dark")
    look = """() => [getComputedStyle(document.body).backgroundColor,
      getComputedStyle(document.querySelector('.bp-later')).opacity]"""
    assert page.evaluate(look) == ["rgb(255, 255, 255)", "1"]
    assert page.locator(".bp-steps > li").last.is_visible()
    assert not page.is_visible(".bp-controls")
    assert not page.is_visible(".bp-without")


def test_two_thousand_nodes(page, address, html):
    """In a graph of 2,000 nodes a step takes a fraction of what an eye notices."""
    nodes = 2000
    boxes = "".join(
        f'<g class="bp-node bp-operation" data-node="{i}"><rect class="bp-box" x="9" y="{30 * i}" '
        f'width="99" height="20"/></g><path class="bp-edge bp-line" data-edge="{i}-0" '
        f'd="M50 {30 * i + 20}v10"/>'
        for i in range(nodes)
    )
    items = "".join(f'<li data-node="{i}" data-edges="{i}-0">Node {i}</li>' for i in range(nodes))
    lists = f'<ol class="bp-steps">{items}</ol>' * 2
    body = (html / "gallery/mathematics/plot_sine_of_a_square.html").read_text("utf-8")
    body = re.sub(r"<svg.*?</svg>", f'<svg height="{30 * nodes}">{boxes}</svg>', body, flags=re.S)
    body = re.sub(r'<p class="bp-phase-title">Forward.*</ol>', lists, body, count=1, flags=re.S)
    body = re.sub(r'data-to="[2-9]\d*"', f'data-to="{nodes + 1}"', body)
    body = re.sub(r'type="range" min="0" max="\d+"', f'type="range" max="{2 * nodes}"', body)
    page.route("**/large.html", lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto(address + "gallery/mathematics/large.html")
    root = page.query_selector(".bp-live")
    took = root.evaluate("""root => {
      const next = root.querySelector('[data-go="next"]');
      const range = root.querySelector('input');
      const times = [];
      for (const at of [0, 1000, 1999, 2500, 3990]) {
        range.value = at;
        range.dispatchEvent(new Event('input'));
        document.body.offsetHeight;
        const begun = performance.now();
        next.click();
        document.body.offsetHeight; // lay out what has changed
        times.push(performance.now() - begun);
      }
      return times.sort((a, b) => a - b);
    }""")
    print(f"a step among {nodes} nodes: {', '.join(f'{t:.0f}' for t in took)} ms")
    assert took[2] < 100


@with_markup("data-code=")
def test_lines_of_code_show_what_they_recorded(page, address, book, page_name):
    """By the Tab key and by mouse, a line that recorded nodes marks these, and says so."""
    page.goto(address + page_name)
    there = set(page.evaluate(THERE))
    wanted: dict[str, dict[str, list]] = {}
    for view in page.query_selector_all(".bp-stepper .bp-view"):
        name = view.get_attribute("data-recording")
        for step in recordings.phases(*recordings.recording(book, name))[0]:
            if step.made in there:
                wanted.setdefault(step.made, {}).setdefault(name, []).append(step)
    marked = page.evaluate("() => [...document.querySelectorAll('.bp-recorded')].map(e => e.id)")
    assert sorted(marked) == sorted(wanted)
    for at, (line, shown) in enumerate(sorted(wanted.items())):
        button = page.locator(f"#{line}")
        # Every other one by its key: what is focused is marked, what is pressed is led to.
        if at % 2 or button.locator("a").count():
            button.focus()
            page.keyboard.press("Enter")
        else:
            button.click(position={"x": 20, "y": 8})
        found = page.evaluate("""() => Object.fromEntries(
          [...document.querySelectorAll('.bp-stepper')].flatMap(root =>
            [...root.querySelectorAll('.bp-view')].map((view, i) => [view.dataset.recording, [
              root.querySelectorAll('.bp-said')[i].textContent,
              [...view.querySelectorAll('.bp-selected')].map(box => box.dataset.node),
            ]])))""")
        for name, steps in shown.items():
            said, boxes = found[name]
            assert said.startswith(f"Line {line.rpartition('-')[2]} recorded ")
            assert all(step.name in said for step in steps)
            nodes = {step.box for step in steps}
            assert all(any(stands_for(box, node) for node in nodes) for box in boxes), (line, boxes)
            assert boxes
        others = [name for name, (_, boxes) in found.items() if boxes and name not in shown]
        assert not others
    assert not page.complaints
