"""axe, with one sample of each kind of text judged for its contrast.

Nine tenths of what axe needs for a page is spent on contrast, on one span of code after another.
What decides is the colour, the size and the weight of a text, and what is painted behind it: texts
in which all of these are equal are of one kind, and are judged alike.  So axe
is given five of a kind.
"""

from importlib import resources

SOURCE = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
CONTRAST = "color-contrast"
# What depends on a theme is its colours.
COLOURS = [CONTRAST, "link-in-text-block"]
RUN = """async ([only, contrast, few]) => {
  const numbers = new Map();
  const number = text => {
    if (!numbers.has(text)) numbers.set(text, numbers.size);
    return numbers.get(text);
  };
  const ground = new Map(); // for each element a number for all that is painted behind its text
  const behind = element => {
    if (!element) return '';
    if (!ground.has(element)) {
      const { backgroundColor, backgroundImage, opacity, filter, mixBlendMode, position } =
        getComputedStyle(element);
      // What is taken out of the flow may stand on something other than what it is written in.
      const alone = position === 'absolute' || position === 'fixed' ? ground.size : '';
      ground.set(element, number([behind(element.parentElement), backgroundColor, backgroundImage,
        opacity, filter, mixBlendMode, alone].join('|')));
    }
    return ground.get(element);
  };
  const kinds = new Map();
  for (const element of document.body.querySelectorAll('*')) {
    const field = element.matches('input, select, textarea');
    const says = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!field && !says) continue;
    const style = getComputedStyle(element);
    if (style.visibility !== 'visible' || !element.getClientRects().length) continue;
    const kind = [field ? kinds.size : '', behind(element), style.color, style.fontSize,
      style.fontWeight, style.textShadow, style.webkitTextStroke].join('|');
    if (!kinds.has(kind)) kinds.set(kind, []);
    kinds.get(kind).push(element);
  }
  const rule = axe._audit.rules.find(({id}) => id === contrast);
  const matches = rule.unrestricted ??= rule.matches;
  // As far apart as they are, so that one that is hidden by something does not stand for all.
  const spread = kind => Array.from({length: Math.min(few, kind.length)},
    (_, i) => kind[Math.floor(i * kind.length / Math.min(few, kind.length))]);
  const chosen = new Set([...kinds.values()].flatMap(spread));
  rule.matches = (node, ...others) => chosen.has(node) && matches.call(rule, node, ...others);
  const {violations} = await axe.run(document, {
    resultTypes: ['violations'], ...(only ? {runOnly: {type: 'rule', values: only}} : {}),
  });
  return violations.flatMap(({id, help, nodes}) =>
    nodes.map(node => `${id} (${help}): ${node.target} ${node.html.slice(0, 120)}`));
}"""
FEW = 5


def violations(page, only: list[str] | None = None) -> list[str]:
    """What axe has to say against a page, in the theme it is shown in; ``only`` names rules."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(SOURCE)
    return page.evaluate(RUN, [only, CONTRAST, FEW])
