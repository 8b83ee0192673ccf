"""Falsifiers of what chapters say about derivatives: paths, maps, costs, differences, descent."""

import itertools
import math
import random

import torch
from press.trials.claims import claim, control
from press.worlds import Script, World
from torch.utils import _python_dispatch, flop_counter

# --- Programs of scalars --------------------------------------------------------------------------

SCALAR_STEPS = ["{a} + {b}", "{a} * {b}", "{a} - {b}", "{a}.sin()", "{a}.tanh()", "{a} * 3"]


def draw_scalars(choose: random.Random) -> Script:
    lines = ["import torch"]
    names = ["z0", "z1"]
    for name in names:
        value = choose.uniform(-1.5, 1.5)
        lines.append(f"{name} = torch.tensor({value!r}, dtype=torch.float64, requires_grad=True)")
    for place in range(2, choose.randint(4, 11)):
        step = choose.choice(SCALAR_STEPS)
        lines.append(
            f"z{place} = " + step.format(a=choose.choice(names[-4:]), b=choose.choice(names[-4:]))
        )
        names.append(f"z{place}")
    lines.append(f"values = [{', '.join(names)}]")
    return Script("\n".join(lines) + "\n")


SCALARS = World(
    "scalars",
    "programs of up to eleven numbers, in which values are used again and paths meet.",
    "programs",
    draw_scalars,
)


def sent(node, arrived):
    """What a node sends, as pairs of the next node and a cotangent."""
    if not node.next_functions:
        return []
    results = node(arrived)
    results = results if isinstance(results, tuple) else (results,)
    pairs = zip(node.next_functions, results, strict=True)
    return [(child, result) for (child, _), result in pairs if child is not None]


def walk(node, arrived, totals, new_only):
    """Go on at once, with what is new or with the total."""
    totals[node] = totals.get(node, 0) + arrived
    for child, cotangent in sent(node, arrived if new_only else totals[node]):
        walk(child, cotangent, totals, new_only)
    return totals


def compare_walk(values, new_only):
    root = values[-1]
    gradients = torch.autograd.grad(root, values[:2], retain_graph=True, allow_unused=True)
    totals = walk(root.grad_fn, torch.ones_like(root), {}, new_only)
    for leaf, gradient in zip(values[:2], gradients, strict=True):
        found = [total for node, total in totals.items() if getattr(node, "variable", None) is leaf]
        assert (gradient is None) is (not found)
        if found:
            torch.testing.assert_close(found[0], gradient)


@claim("chain-paths", world=SCALARS, sample=60)
def sum_over_paths(values):
    """A walk along each path, one after another, adds up products of local derivatives."""
    compare_walk(values, new_only=True)


@control("chain-paths", "Going on before everything has arrived, the walk may pass on its total.")
def total_at_once(values):
    compare_walk(values, new_only=False)


@control("chain-paths", "A pass that goes on before everything has arrived returns a wrong number.")
def always_wrong(values):
    try:
        compare_walk(values, new_only=True)
    except AssertionError:
        return
    raise AssertionError("it went on at once, and its numbers are right")


def system(values):
    """The matrix of local derivatives of a program, and its number of edges."""
    index = {value.grad_fn or value: i for i, value in enumerate(values)}
    M = torch.zeros(len(values), len(values), dtype=torch.float64)
    edges = 0
    for i, value in enumerate(values):
        if value.grad_fn is not None:
            for child, derivative in sent(value.grad_fn, torch.ones_like(value)):
                M[i, index[getattr(child, "variable", child)]] += derivative
                edges += 1
    return M, edges


def paths_to(M, leaf):
    """The products along all paths from the last value to a leaf."""
    products, waiting = [], [(len(M) - 1, torch.ones(()).to(M))]
    while waiting:
        place, product = waiting.pop()
        if place == leaf:
            products.append(product)
        steps = M[place].nonzero().flatten().tolist()
        waiting += [(step, product * M[place, step]) for step in steps]
    return products


@claim("chain-sum", world=SCALARS, sample=60)
def products_of_paths(values):
    """All paths are listed, the local derivatives along each multiplied, and the products added."""
    M, _ = system(values)
    gradients = torch.autograd.grad(values[-1], values[:2], allow_unused=True)
    for leaf, gradient in enumerate(gradients):
        products = paths_to(M, leaf)
        expected = torch.zeros(()).to(M) if gradient is None else gradient
        torch.testing.assert_close(sum(products, torch.zeros(()).to(M)), expected)


@control("chain-sum", "Backpropagation is the repeated application of dz/dx = dz/dy dy/dx.")
def one_path(values):
    M, _ = system(values)
    gradients = torch.autograd.grad(values[-1], values[:2], allow_unused=True)
    for leaf, gradient in enumerate(gradients):
        products = paths_to(M, leaf)
        if products and gradient is not None:
            torch.testing.assert_close(products[0], gradient)


@claim("chain-triangular", world=SCALARS, sample=60)
def back_substitution(values):
    """The system is solved, and compared with autograd's gradient of each value."""
    M, _ = system(values)
    assert not M.triu().any(), "an entry on the diagonal or above"
    last = torch.eye(len(values), dtype=torch.float64)[-1]
    z_bar = torch.linalg.solve((torch.eye(len(values)).to(M) - M).T, last)
    gradients = torch.autograd.grad(values[-1], values, allow_unused=True)
    for found, gradient in zip(z_bar, gradients, strict=True):
        torch.testing.assert_close(found, torch.zeros(()).to(M) if gradient is None else gradient)


@control("chain-triangular", "Each entry is used once, and the entries are the edges.")
def entries_are_edges(values):
    M, edges = system(values)
    assert M.count_nonzero() == edges, f"{M.count_nonzero()} entries, {edges} edges"


# --- Maps -----------------------------------------------------------------------------------------

REAL_STEPS = ["A @ {z}", "{z}.sin()", "{z} * {z}", "{z}.tanh()", "{z}.cumsum(0)", "{z} * w"]
COMPLEX_STEPS = [*REAL_STEPS, "{z}.conj() * w", "{z}.abs() * {z}", "{z} * {z}.real"]


def draw_map(choose: random.Random, kinds: tuple[str, ...]) -> Script:
    dtype = choose.choice(kinds)
    steps = COMPLEX_STEPS if dtype == "cdouble" else REAL_STEPS
    lines = ["import torch", f"torch.manual_seed({choose.randint(0, 99)})"]
    lines.append(f"A, w = (torch.randn(n, dtype=torch.{dtype}) / 2 for n in ((3, 3), 3))")
    lines.append("def f(z):")
    lines += [f"    z = {choose.choice(steps).format(z='z')}" for _ in range(choose.randint(1, 3))]
    lines += ["    return A[:2] @ z"]
    lines += [f"x, v = (torch.randn(3, dtype=torch.{dtype}) / 2 for _ in range(2))"]
    lines += [f"u = torch.randn(2, dtype=torch.{dtype})"]
    return Script("\n".join(lines) + "\n")


REAL = World(
    "real maps",
    "maps of three real numbers to two, of up to three steps.",
    "maps",
    lambda choose: draw_map(choose, ("double",)),
)
MAPS = World(
    "maps",
    "maps of three numbers to two, real and complex, analytic and not, of up to three steps.",
    "maps",
    lambda choose: draw_map(choose, ("double", "cdouble")),
)


def both_modes(f, x, u, v):
    """What reverse mode returns for ``u``, and forward mode for ``v``."""
    leaf = x.clone().requires_grad_()
    vjp = torch.autograd.grad(f(leaf), leaf, u)[0]
    return vjp, torch.func.jvp(f, (x,), (v,))[1]


@claim("jacobian-adjoint", world=MAPS, sample=60)
def modes_agree(f, x, u, v):
    """Both inner products are computed, the first argument conjugated, and real parts compared."""
    vjp, jvp = both_modes(f, x, u, v)
    torch.testing.assert_close((u.conj() * jvp).sum().real, (vjp.conj() * v).sum().real)


@control("jacobian-adjoint", "For all u and v the sums of u Jv and of (J^T u) v are equal.")
def without_conjugate(f, x, u, v):
    vjp, jvp = both_modes(f, x, u, v)
    torch.testing.assert_close((u * jvp).sum(), (vjp * v).sum())


@claim("jacobian-rows", world=REAL, sample=40)
def weighted_rows(f, x, u):
    """The Jacobian is built from forward mode, column by column, and multiplied from the left."""
    leaf = x.clone().requires_grad_()
    columns = [torch.func.jvp(f, (x,), (v,))[1] for v in torch.eye(3).to(x)]
    torch.testing.assert_close(
        torch.autograd.grad(f(leaf), leaf, u)[0], u @ torch.stack(columns, 1)
    )


@control("jacobian-rows", "One backward pass returns the rows weighted with the seed.", world=MAPS)
def weighted_rows_of_all(f, x, u):
    weighted_rows(f, x, u)


# --- Costs ----------------------------------------------------------------------------------------


def tensors(values):
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors(value)


class Traffic(_python_dispatch.TorchDispatchMode):
    """Numbers that operators read and write."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        result = operator(*args, **(kwargs or {}))
        if not operator.is_view and operator is not torch.ops.aten.detach.default:
            for tensor in tensors([args, result]):
                held = zip(tensor.shape, tensor.stride(), strict=True)
                self.numbers += math.prod(size for size, stride in held if stride)
        return result


PRICED = ["{a} + {b}", "{a} * {b}", "{a} / ({b} * {b} + 2)", "{a}.sin()", "{a}.tanh()", "{a}.exp()"]


def draw_priced(choose: random.Random, entries: bool) -> Script:
    n = choose.choice([10, 50, 200])
    lines = [
        "import torch",
        f"x = torch.rand({n}, requires_grad=True)",
        "def f(x):",
        "    z = y = x",
    ]
    steps = [choose.choice(PRICED) for _ in range(choose.randint(2, 8))]
    lines += [f"    y, z = {step.format(a='y', b='z')}, y" for step in steps]
    if entries and choose.random() < 0.5:
        lines.append("    y = sum(y[i] * y[i] for i in range(len(y)))")
    return Script("\n".join([*lines, "    return y"]) + "\n")


ELEMENTWISE = World(
    "elementwise programs",
    "programs of two to eight elementwise operations on up to 200 numbers.",
    "programs",
    lambda choose: draw_priced(choose, entries=False),
)
WITH_ENTRIES = World(
    "programs with entries taken out",
    "the same, of which half go on with a loop over entries.",
    "programs",
    lambda choose: draw_priced(choose, entries=True),
)
# A division: 14 n backward and a sum for each of its two arguments, 3 n forward.
DEAREST = (14 + 2 * 3) / 3


@claim("cost-multiple", world=ELEMENTWISE)
def dearest_rule(x, f):
    """Numbers read and written are counted in both passes; the dearest rule costs 20/3."""
    with Traffic() as ahead:
        y = f(x)
    with Traffic() as back:
        torch.autograd.grad(y, x, torch.ones_like(y))
    assert back.numbers <= DEAREST * ahead.numbers, f"{back.numbers / ahead.numbers:.1f} times"


@control("cost-multiple", "A pass costs a small multiple of one evaluation.", world=WITH_ENTRIES)
def small_multiple(x, f):
    dearest_rule(x, f)


def draw_layers(choose: random.Random) -> Script:
    sizes = [choose.randint(2, 9) for _ in range(choose.randint(2, 6))]
    lines = ["import torch", f"sizes = {sizes}"]
    lines.append("weights = [torch.randn(k, d, requires_grad=True)")
    lines.append("           for d, k in zip(sizes, sizes[1:])]")
    lines.append(f"X = torch.randn({choose.randint(2, 7)}, sizes[0])")
    return Script("\n".join(lines) + "\n")


LAYERS = World(
    "layers", "networks of one to five linear layers of any sizes.", "networks", draw_layers
)


def layer_flops(weights, X):
    def forward():
        A = X
        for W in weights:
            A = torch.tanh(A @ W.T)
        return A

    with flop_counter.FlopCounterMode(display=False) as ahead:
        forward()
    loss = forward().sum()
    with flop_counter.FlopCounterMode(display=False) as back:
        loss.backward()
    return ahead.get_total_flops(), back.get_total_flops()


@claim("cost-linear", world=LAYERS)
def two_products(weights, X):
    """Operations of both passes are counted; the first layer leaves one product out."""
    ahead, back = layer_flops(weights, X)
    assert back == 2 * ahead - 2 * len(X) * weights[0].numel()


@control("cost-linear", "A backward pass costs twice the forward pass.")
def twice(weights, X):
    ahead, back = layer_flops(weights, X)
    assert back == 2 * ahead


CONV = World(
    "convolutions",
    "convolutions with any padding, stride, dilation and size of kernel.",
    "convolutions",
    lambda choose: Script(
        "import torch\n"
        f"image = torch.randn(2, 3, {choose.randint(9, 14)}, 13, requires_grad=True)\n"
        f"weight = torch.randn(4, 3, {choose.randint(1, 4)}, 3, requires_grad=True)\n"
        f"options = dict(padding={choose.randint(0, 3)}, stride={choose.randint(1, 3)}, "
        f"dilation={choose.randint(1, 2)})\n"
    ),
)


@claim("cost-convolution", world=CONV)
def two_convolutions(image, weight, options):
    """Operations of both passes are counted, with gradients for image and weight."""
    with flop_counter.FlopCounterMode(display=False) as ahead:
        output = torch.nn.functional.conv2d(image, weight, **options)
    with flop_counter.FlopCounterMode(display=False) as back:
        output.sum().backward()
    assert back.get_total_flops() == 2 * ahead.get_total_flops()


@control(
    "cost-convolution", "The rule of two holds only where the output is as large as the image."
)
def only_same_size(image, weight, options):
    output = torch.nn.functional.conv2d(image, weight, **options)
    if output.shape[2:] != image.shape[2:]:
        try:
            two_convolutions(image, weight, options)
        except AssertionError:
            return
        raise AssertionError("another size, and the rule of two holds")


# --- Differences ----------------------------------------------------------------------------------

FUNCTIONS = {
    "sin": ("torch.sin(x)", "torch.cos(x)", "torch.cos(x).abs()"),
    "exp": ("torch.exp(x / 10)", "torch.exp(x / 10) / 10", "torch.exp(x / 10) / 1000"),
    "log": ("torch.log(x)", "1 / x", "2 / x**3"),
    "root": ("x.sqrt()", "0.5 / x.sqrt()", "0.375 / x**2.5"),
}
PLACES = ["1.0", "3.0", "math.pi", "10.0", "100.0", "1000.0"]


def draw_difference(choose: random.Random) -> Script:
    name = choose.choice(list(FUNCTIONS))
    place = choose.choice(PLACES[:4] if name == "exp" else PLACES)
    f, slope, third = FUNCTIONS[name]
    return Script(
        "import math, torch\n"
        f"f = lambda x: {f}\nslope = lambda x: {slope}\nthird = lambda x: {third}\n"
        f"torch.manual_seed({choose.randint(0, 99)})\n"
        f"at = torch.tensor({place}, dtype=torch.float64)\n"
        "points = at * (1 + 1e-3 * torch.rand(400, dtype=torch.float64))\n"
    )


DIFFERENCES = World(
    "differences",
    "four smooth functions, around six places from 1 to 1000.",
    "places",
    draw_difference,
)
GRID = [10.0 ** (-k / 4) for k in range(4, 50)]
EPS = torch.finfo(torch.float64).eps


def mean_error(f, slope, points, h, as_taken=True):
    ahead, behind = points + h, points - h
    step = ahead - behind if as_taken else 2 * h
    return ((f(ahead) - f(behind)) / step - slope(points)).abs().mean().item()


@claim("checking-step", world=DIFFERENCES, sample=40)
def step_of_formula(f, slope, third, at, points):
    """The mean error over 400 points is compared with the least of 46 steps."""
    h = (3 * EPS * f(points).abs().mean() / third(at)) ** (1 / 3)
    least = min(mean_error(f, slope, points, h) for h in GRID)
    assert mean_error(f, slope, points, h) < 4 * least


@control("checking-step", "The error is least near h = (3 eps |f| / |f'''|)^(1/3).")
def bare_formula(f, slope, third, at, points):
    h = (3 * EPS * f(at).abs() / third(at)) ** (1 / 3)
    least = min(mean_error(f, slope, points, h) for h in GRID)
    assert mean_error(f, slope, points, h, as_taken=False) < 4 * least


# --- Descent --------------------------------------------------------------------------------------


def draw_quadratic(choose: random.Random, lowest: float) -> Script:
    eigenvalues = [round(choose.uniform(lowest, 3.0), 2) for _ in range(3)]
    eigenvalues[0] = round(choose.uniform(0.3, 3.0), 2)
    share = choose.choice([0.2, 0.5, 0.8, 0.95, 1.05, 1.2])
    return Script(
        f"import torch\ntorch.manual_seed({choose.randint(0, 99)})\n"
        f"eigenvalues = torch.tensor({eigenvalues}, dtype=torch.float64)\n"
        "Q = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64)).Q\n"
        "A = Q @ torch.diag(eigenvalues) @ Q.T\n"
        "start = torch.randn(3, dtype=torch.float64)\n"
        f"eta = {share} * 2 / eigenvalues.max()\n"
    )


CONVEX = World(
    "convex quadratics",
    "quadratics of three unknowns with positive eigenvalues, at six shares of the limit.",
    "quadratics",
    lambda choose: draw_quadratic(choose, 0.3),
)
QUADRATICS = World(
    "quadratics",
    "quadratics of three unknowns, at six shares of the limit.",
    "quadratics",
    lambda choose: draw_quadratic(choose, -2.0),
)


@claim("descent-limit", world=CONVEX, sample=25)
def below_the_limit(A, eigenvalues, start, eta):
    """A hundred and fifty steps are run, and the last distance compared with the first."""
    theta = start.clone().requires_grad_()
    for _ in range(150):
        (gradient,) = torch.autograd.grad(0.5 * theta @ A @ theta, theta)
        with torch.no_grad():
            theta -= eta * gradient
    nearer = bool(theta.norm() < 0.1 * start.norm())
    assert nearer is bool(eta < 2 / eigenvalues.max()), f"{theta.norm() / start.norm():.2g}"


@control(
    "descent-limit",
    "On a quadratic gradient descent converges for every start exactly if 0 < eta < 2/lambda_max.",
    world=QUADRATICS,
)
def below_the_limit_of_all(A, eigenvalues, start, eta):
    below_the_limit(A, eigenvalues, start, eta)


def draw_data(choose: random.Random, kinds: list[str]) -> Script:
    return Script(
        f"import torch\ntorch.manual_seed({choose.randint(0, 99)})\n"
        f"X = torch.randn({choose.randint(4, 6)}, 2, dtype=torch.float64)\n"
        "T = torch.randint(0, 3, (len(X),))\n"
        f"W = torch.randn(3, 2, dtype=torch.float64)\nsize = {choose.randint(2, 3)}\n"
        f"kind = {choose.choice(kinds)!r}\n"
    )


PLAIN = ["squares", "cross-entropy", "hinge"]
EXAMPLES = World(
    "examples",
    "sets of four to six examples, batches of two or three, three losses.",
    "sets",
    lambda choose: draw_data(choose, PLAIN),
)
WEIGHTED = World(
    "weighted",
    "the same, and a cross-entropy with class weights.",
    "sets",
    lambda choose: draw_data(choose, [*PLAIN, "weighted"]),
)
PAIRED = World(
    "pairs", "a mean over pairs of examples.", "sets", lambda choose: draw_data(choose, ["pairs"])
)


def loss_of(kind, scores, targets):
    if kind == "squares":
        return (scores[:, 0] - targets).square().mean()
    if kind == "hinge":
        return (1 - scores[:, 0] * (targets - 1)).relu().mean()
    if kind == "pairs":
        rows = len(scores)
        return (scores[:, :1] - scores[:, 0]).tanh().square().sum() / (rows * (rows - 1))
    weight = torch.tensor([1.0, 5.0, 2.0]).to(scores) if kind == "weighted" else None
    return torch.nn.functional.cross_entropy(scores, targets, weight=weight)


def unbiased(X, T, W, size, kind):
    """Whether the gradient of a batch is, on average over all batches, that of all examples."""

    def gradient(rows):
        leaf = W.clone().requires_grad_()
        rows = list(rows)
        return torch.autograd.grad(loss_of(kind, X[rows] @ leaf.T, T[rows]), leaf)[0]

    batches = [gradient(rows) for rows in itertools.combinations(range(len(X)), size)]
    return torch.allclose(torch.stack(batches).mean(0), gradient(range(len(X))), atol=1e-12)


@claim("descent-batches", world=EXAMPLES, sample=40)
def mean_of_batches(X, T, W, size, kind):
    """All batches are formed, and the mean of their gradients compared with that of all data."""
    assert unbiased(X, T, W, size, kind)


@control("descent-batches", "So it is for every loss that is called a mean.", world=WEIGHTED)
def mean_by_name(X, T, W, size, kind):
    assert unbiased(X, T, W, size, kind)


@control("descent-batches", "And for no loss that is no mean over examples.", world=PAIRED)
def for_no_other(X, T, W, size, kind):
    assert not unbiased(X, T, W, size, kind)
