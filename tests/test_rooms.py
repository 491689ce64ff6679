"""How the house is built: who may import whom, what an import loads, and which names are public."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("autograd", "nn", "viz")

# From the ground up: a place may import what stands in its own line or in a line before it, and nothing else of ours.
FLOORS = {
    "the packages": ["autograd", "nn | viz"],
    "the engine": [
        "autograd.conversion | autograd.files | autograd.display | autograd.form | autograd.special | autograd.forks",
        "autograd.primitive", "autograd.primitives",
        "autograd.graph", "autograd.sweep", "autograd.zeros | autograd.faults",
        "autograd.number | autograd.copies | autograd.arrays",
        "autograd.value", "autograd.recording", "autograd.structure | autograd.functions | autograd.expression",
        "autograd.guard | autograd.shifts | autograd.rewritten", "autograd.derive",
        "autograd.check | autograd.steps", "autograd.path", "autograd.compiler", "autograd",
        "autograd.command | autograd.__main__", "autograd.testing"],
    "the compiler, stage by stage": [
        "autograd.compiler.program", "autograd.compiler.trace", "autograd.compiler.simplify | autograd.compiler.compare",
        "autograd.compiler.instructions", "autograd.compiler.flatten", "autograd.compiler.classify | autograd.compiler.match",
        "autograd.compiler.roll", "autograd.compiler.show", "autograd.compiler.backends",
        "autograd.compiler.arguments", "autograd.compiler.plan", "autograd.compiler.compiled",
        "autograd.compiler.descent", "autograd.compiler"],
    "its backends": [
        "autograd.compiler.backends.recent", "autograd.compiler.backends.chunks",
        "autograd.compiler.backends.python | autograd.compiler.backends.numpy | autograd.compiler.backends.llvm",
        "autograd.compiler.backends.choose"],
    "nn and its wings": ["nn.module", "nn.data", "nn.lectures", "nn.saving", "nn.training", "nn", "nn.command | nn.__main__"],
    "viz and its wings": ["viz.formulas", "viz.graphs", "viz.plots", "viz.pages", "viz"],
}
WINGS = ("nn.data", "nn.lectures", "nn.saving", "nn.training", "nn.command", "nn.__main__")
ARRAYS = ("autograd.arrays", "autograd.compiler.")   # what may load numpy at once: it is itself loaded for arrays
PUBLIC = {   # what users import, as it was before the rooms were moved
    "autograd": (
        "Compiled PRIMITIVES Primitive TraceError Value acos acosh asin asinh atan atan2 atanh cbrt compile "
        "compile_function cos cosh erf erfc errstate exp exp2 expm1 grad gradcheck grads heaviside hessian hvp hypot "
        "jacobian jvp leaky_relu log log10 log1p log2 log_sigmoid log_softmax logsumexp maximum minimum no_grad numbers "
        "paths primitive relu sigmoid sign silu sin sinh softmax softplus sqrt step tan tanh topological value_and_grad values "
        "vjp where"),
    "autograd.testing": (
        "Program assert_derivative assert_gradients assert_same expressions networks points primitives values"),
    "autograd.compiler": (
        "Compiled CompiledFunction TraceError compile compile_function llvm_rule"),
    "nn": (
        "ACTIVATIONS Activation Adagrad Adam AdamW AvgPool2d Callback Checkpoint Conv2d CosineAnnealingLR DATASETS "
        "DataError Dataset EarlyStopping ExponentialLR Flatten GAN GATES GeneralisedReLU History INITIALISERS LOSSES "
        "Layer LeNet LinearRegression LogisticRegression MLP MaxPool2d Maxout Module NeuralNetClassifier "
        "NeuralNetRegressor Neuron OPTIMIZERS OUTPUT_UNITS OneVsRest Optimizer OutputUnit Perceptron RMSprop "
        "ReduceLROnPlateau SGD Sequential SoftmaxRegression Standardizer StepLR accuracy activation "
        "binary_cross_entropy binary_cross_entropy_with_logits confusion_matrix cross_entropy descend eager_gradients "
        "executor_gradients fit gate generalised_relu hinge initialiser l2 load load_breast_cancer load_csv "
        "load_diabetes load_digits load_extra load_iris load_wine make_circles make_moons maxout mini_batches minimize "
        "mse nll one_hot output_unit perceptron_loss piecewise_linear predict register save squared_error "
        "train_test_split"),
    "viz": (
        "Explorer Movie Picture Recorder Table XiTables draw draw_dot draw_neuron explore picture_or_none plot_activation "
        "plot_activations plot_decision_regions plot_feature_maps plot_gradient_flow plot_images plot_loss plot_loss_surface "
        "plot_network plot_weights table to_ascii training_movie"),
}


@cache
def files() -> dict[str, Path]:
    """{the name of a module: its file}, all of ours."""
    found = {}
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            parts = file.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(module: str, ours: bool = True) -> Iterator[tuple[str, bool]]:
    """(the module that is imported, whether that is done when the file is loaded), wherever it stands in the file."""
    file = files()[module]
    tree = ast.parse(file.read_text(encoding="utf-8"))
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = ".".join([*package[:len(package) + 1 - node.level], *([node.module] if node.module else [])]
                              ) if node.level else node.module or ""
            found = [whole if (whole := f"{source}.{alias.name}") in files() else source for alias in node.names]
        for name in found:
            if (name in files()) == ours:
                yield name, node in tree.body


def stands_in(module: str, place: str) -> bool:
    """Whether a module is the place, or in it. A package's own face, its __init__, stands in the package alone."""
    return module == place or (module.startswith(f"{place}.") and place not in PACKAGES)


@pytest.mark.parametrize("house", FLOORS)
def test_imports_only_look_down(house: str) -> None:
    floors = [line.split(" | ") for line in FLOORS[house]]
    if house == "the packages":
        floor = {module: next(i for i, line in enumerate(floors) if module.split(".")[0] in line) for module in files()}
    else:
        floor = {module: i for module in files() for i, line in enumerate(floors) for place in line if stands_in(module, place)}
    assert len(floor) > 2
    for module, mine in floor.items():
        for name, _ in imports(module):
            if name in floor and not (module == "autograd.command.main" and name.startswith("viz")):
                assert floor[name] <= mine, f"{module} imports {name}, which stands above it"


def test_every_room_is_on_a_floor() -> None:
    for house, package in (("the engine", "autograd"), ("the compiler, stage by stage", "autograd.compiler")):
        places = [place for line in FLOORS[house] for place in line.split(" | ")]
        for module in files():
            compiler = module.startswith("autograd.compiler.")
            if module.startswith(f"{package}.") and compiler == (package == "autograd.compiler"):
                assert any(stands_in(module, place) for place in places), module


def test_nn_and_viz_never_meet_and_what_is_flat_needs_no_wing() -> None:
    for module in files():
        for name, _ in imports(module):
            packages = {module.split(".")[0], name.split(".")[0]}
            assert packages != {"nn", "viz"}, f"{module} imports {name}"
            if module.split(".")[0] == "autograd" and not module.startswith("autograd.command"):
                assert packages == {"autograd"}, f"{module} imports {name}"
            if module.startswith("nn.") and not module.startswith(WINGS):
                assert not name.startswith(WINGS), f"{module} imports {name}"


def test_no_files_import_each_other_in_a_circle() -> None:
    arrows = {module: {name for name, _ in imports(module)} - {module} for module in files()}
    while arrows:
        ground = {module for module, names in arrows.items() if not names & arrows.keys()}
        assert ground, f"in a circle, or above one: {sorted(arrows)}"
        arrows = {module: names for module, names in arrows.items() if module not in ground}


def test_the_engine_needs_only_the_standard_library() -> None:
    for module in files():
        if module.split(".")[0] == "autograd" and not module.startswith(ARRAYS):
            at_once = {name.split(".")[0] for name, at_once in imports(module, ours=False) if at_once}
            assert at_once <= set(sys.stdlib_module_names), module


def test_import_does_not_load_numpy_or_viz() -> None:
    code = "import sys, autograd; print([m for m in ('numpy', 'viz', 'inspect', 'csv', 'argparse') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_there(module: str) -> None:
    found = importlib.import_module(module)
    assert [name for name in PUBLIC[module].split() if not hasattr(found, name)] == []


def test_hypothesis_is_asked_for_by_the_strategies_and_what_it_calls_itself() -> None:
    found = {module for module in files() for name, _ in imports(module, ours=False) if name.split(".")[0] == "hypothesis"}
    assert found == {"autograd.testing.strategies", "autograd.testing.entry"}


def test_graphviz_is_asked_for_by_pictures_when_they_need_it() -> None:
    """The package may be missing: whoever loads it at once would not be there on a bare Python."""
    found = {(module, at_once) for module in files() for name, at_once in imports(module, ours=False)
             if name.split(".")[0] == "graphviz" and not module.startswith("tests")}
    assert {module for module, _ in found} == {f"viz.graphs.{name}" for name in ("dot", "drawing", "engines", "picture")}
    assert not any(at_once for _, at_once in found)


def test_every_folder_says_what_it_is_for() -> None:
    for module, file in files().items():
        if file.name == "__init__.py":
            assert len(ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "") > 60, module


def test_another_package_called_autograd_is_named(tmp_path: Path) -> None:
    (tmp_path / "autograd").mkdir()
    (tmp_path / "autograd" / "__init__.py").write_text("def grad(f): ...")
    (tmp_path / "viz").symlink_to(ROOT / "viz")
    done = subprocess.run([sys.executable, "-c", "import viz"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "ImportError" in done.stderr and "HIPS" in done.stderr
