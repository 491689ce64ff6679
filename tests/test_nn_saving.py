"""Model files: what is saved is loaded, the same to the bit; whatever else a file holds is refused and never run."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import stat
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nn.saving.archive
import nn.saving.models
from autograd import Value, tanh
from nn import (
    GAN,
    MLP,
    AvgPool2d,
    Checkpoint,
    Conv2d,
    Flatten,
    Layer,
    LeNet,
    LinearRegression,
    LogisticRegression,
    Maxout,
    MaxPool2d,
    Module,
    Neuron,
    OneVsRest,
    Perceptron,
    Sequential,
    SoftmaxRegression,
    fit,
    gate,
    load,
    save,
)
from nn.saving.archive import npy, read_archive
from nn.saving.models import REGISTRY, load_extra, register

MODELS: list[Module] = [
    MLP(2, [3, 1], activation="tanh", rng=0), MLP(4, [2], bias=False, rng=1), Neuron(3, "sigmoid", rng=2), Layer(2, 3, rng=3),
    Sequential(Layer(2, 2, "relu", rng=4), Sequential(Layer(2, 1, rng=5))), LinearRegression(3), LogisticRegression(2),
    Perceptron(2),
    SoftmaxRegression(3, 4), OneVsRest(2, 3), Maxout(2, 2, rng=6), LeNet(rng=7), GAN(rng=8), gate("XNOR"),
    Sequential(Conv2d(1, 2, (1, 2), padding=1, rng=9), MaxPool2d(2), Flatten()), Sequential(Conv2d(1, 1, 2), AvgPool2d((1, 2))),
    MLP(2, [3, 1], activation="generalised_relu", rng=1),
]


def saved(path: Path, module: Module | None = None, **options: Any) -> bytes:
    save(module or MODELS[0], path, **options)
    return path.read_bytes()


def rewritten(path: Path, document: Any = None, numbers: bytes | None = None,
              names: tuple[str, ...] = ("model.json", "parameters.npy"), compress: int = zipfile.ZIP_STORED) -> None:
    """The file with another document (or bytes of one) or other numbers."""
    with zipfile.ZipFile(path) as old:
        parts = [old.read("model.json"), old.read("parameters.npy")]
    if document is not None:
        parts[0] = document if isinstance(document, bytes) else json.dumps(document).encode()
    if numbers is not None:
        parts[1] = numbers
    with zipfile.ZipFile(path, "w", compress) as new:
        for name, part in zip(names, parts, strict=False):
            new.writestr(name, part)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_a_loaded_model_is_the_saved_one(model: Module, tmp_path: Path) -> None:
    save(model, tmp_path / "m", extra={"classes": ["a", "ü"], "mean": [0.1, 1e-300], "n": {"k": None}})
    again = load(tmp_path / "m")
    assert type(again) is type(model) and again.state_dict() == model.state_dict()
    assert load_extra(tmp_path / "m") == {"classes": ["a", "ü"], "mean": [0.1, 1e-300], "n": {"k": None}}
    assert saved(tmp_path / "n", again, extra=load_extra(tmp_path / "m")) == (tmp_path / "m").read_bytes()


def test_every_module_of_the_package_can_be_saved() -> None:
    ours = {c.__name__: c for c in vars(nn).values() if isinstance(c, type) and issubclass(c, Module) and c is not Module}
    assert {name: module for name, (module, _) in REGISTRY.items() if module.__module__.startswith("nn.")} == ours


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=13, max_size=13))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_finite_number_survives(tmp_path: Path, numbers: list[float]) -> None:
    model = MLP(2, [3, 1])
    for p, x in zip(model.parameters(), numbers, strict=True):
        p.data = x
    save(model, tmp_path / "m")
    assert [x.hex() for x in load(tmp_path / "m").state_dict().values()] == [float(x).hex() for x in numbers]


def test_the_file_is_a_plain_archive_that_numpy_reads(tmp_path: Path) -> None:
    saved(tmp_path / "m")
    with np.load(tmp_path / "m", allow_pickle=False) as archive:
        assert archive["parameters"].tolist() == list(MODELS[0].state_dict().values())
    buffer = io.BytesIO()
    np.save(buffer, np.array(list(MODELS[0].state_dict().values())))
    with zipfile.ZipFile(tmp_path / "m") as file:
        assert file.namelist() == ["model.json", "parameters.npy"] and file.read("parameters.npy") == buffer.getvalue()
        document = json.loads(file.read("model.json"))
    assert document["model"]["module"] == "MLP" and document["parameters"] == list(MODELS[0].state_dict())


def test_saving_needs_no_numpy_format_of_its_own_for_no_parameters(tmp_path: Path) -> None:
    save(Sequential(), tmp_path / "m")
    assert isinstance(load(tmp_path / "m"), Sequential)


# ---- what cannot be saved

class Mine(Module):
    """A class that the package does not know."""

    def __init__(self, n: int) -> None:
        self.n, self.w = n, [Value(0.0) for _ in range(n)]


def test_a_function_as_activation_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="activation"):
        save(Layer(2, 2, lambda z: tanh(z) * 2), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_class_can_be_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for model in (Mine(2), Sequential(Layer(1, 1), Mine(2))):
        with pytest.raises(ValueError, match=r"'Mine' is no class that a file may name: call nn.saving.register"):
            save(model, tmp_path / "m")
    monkeypatch.setattr(nn.saving.models, "REGISTRY", dict(REGISTRY))
    register(Mine, size=lambda n: n)
    save(Mine(2), tmp_path / "m")
    assert isinstance(load(tmp_path / "m"), Mine)


class Matrix(Module):
    """W x, the weights in an array."""

    def __init__(self, nin: int, nout: int) -> None:
        self.nin, self.nout = nin, nout
        self.W = np.array([[Value(0.1 * (i - j)) for j in range(nin)] for i in range(nout)])

    def forward(self, x: Any) -> Any:
        return self.W @ np.array(x)


def test_weights_in_an_array_are_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.saving.models, "REGISTRY", dict(REGISTRY))
    register(Matrix, lambda nin, nout: nin * nout)
    model, x = Matrix(3, 2), [[0.5, -1.0, 2.0], [1.0, 1.0, 0.0]]
    fit(model, x, [[1.0, 0.0], [0.5, 2.0]], epochs=3)
    save(model, tmp_path / "m")
    again = load(tmp_path / "m")
    assert list(again.state_dict()) == ["W.0.0", "W.0.1", "W.0.2", "W.1.0", "W.1.1", "W.1.2"]
    assert again.state_dict() == model.state_dict() != Matrix(3, 2).state_dict()
    assert [v.data for v in again(x[0])] == [v.data for v in model(x[0])]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_only_finite_parameters_are_saved(tmp_path: Path, bad: float) -> None:
    model = Neuron(2)
    model.parameters()[0].data = bad
    with pytest.raises(ValueError, match=r"w.0 is (nan|inf): only finite"):
        save(model, tmp_path / "m")


@pytest.mark.parametrize("extra", [{"x": math.nan}, {"x": np.ones(2)}, {"x": Value(1.0)}, {"x": {1, 2}}])
def test_extra_is_plain(tmp_path: Path, extra: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="extra cannot be written"):
        save(MODELS[0], tmp_path / "m", extra=extra)
    assert list(tmp_path.iterdir()) == []


# ---- writing in one motion

def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = saved(tmp_path / "m")
    for name in ("replace", "fsync"):
        with monkeypatch.context() as patch:
            def fail(*args: Any) -> None:
                raise KeyboardInterrupt
            patch.setattr(os, name, fail)
            with pytest.raises(KeyboardInterrupt):
                save(MODELS[1], tmp_path / "m")
        assert (tmp_path / "m").read_bytes() == old and [p.name for p in tmp_path.iterdir()] == ["m"]


@pytest.mark.skipif(os.name == "nt", reason="permissions and links of POSIX")
def test_a_file_has_usual_permissions_and_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    (tmp_path / "link").symlink_to(tmp_path / "m")
    saved(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and load(tmp_path / "m").state_dict() == MODELS[0].state_dict()
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)


def test_a_missing_file_or_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        save(MODELS[0], tmp_path / "none" / "m")


# ---- damaged, foreign and hostile files

@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changed_bytes_are_refused_or_change_nothing(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(saved(tmp_path / "m"))
    kind = data.draw(st.sampled_from(["flip", "cut", "grow", "mix"]))
    if kind == "cut":
        del content[data.draw(st.integers(0, len(content) - 1)):]
    elif kind == "grow":
        content += data.draw(st.binary(min_size=1, max_size=40))
    else:
        for _ in range(1 if kind == "flip" else 5):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "m").write_bytes(content)
    check_refused_or_equal(tmp_path / "m")


def check_refused_or_equal(path: Path) -> None:
    try:
        found = load(path)
    except ValueError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
    else:
        assert found.state_dict() == MODELS[0].state_dict() and repr(found) == repr(MODELS[0])


def test_every_single_bit_may_flip(tmp_path: Path) -> None:
    content = saved(tmp_path / "m")
    for i in range(0, len(content), 3):
        changed = bytearray(content)
        changed[i] ^= 1 << (i % 8)
        (tmp_path / "m").write_bytes(changed)
        check_refused_or_equal(tmp_path / "m")


@pytest.mark.parametrize("content", [
    b"", b"\x00", b"PK\x05\x06" + b"\x00" * 18, b"{}", "Größe".encode(), pickle.dumps([1]), os.urandom(300),
], ids=["empty", "nul", "empty zip", "json", "text", "pickle", "noise"])
def test_a_foreign_file_is_told_by_its_path(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ValueError, match=r"m' is no model file, or it is damaged: "):
        load(tmp_path / "m")


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("it-was-run",)


def test_a_pickle_among_the_numbers_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path / "m")
    buffer = io.BytesIO()
    np.save(buffer, np.array([Evil()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "z.npz", a=np.array([Evil()], dtype=object))
    payloads = buffer.getvalue(), pickle.dumps(Evil())
    monkeypatch.setattr(os, "mkdir", lambda *args: pytest.fail("code of the file was run"))
    for payload in payloads:
        rewritten(tmp_path / "m", numbers=payload)
        with pytest.raises(ValueError, match=r"parameters.npy must hold 13 numbers, as '<f8'"):
            load(tmp_path / "m")
    with pytest.raises(ValueError, match=r"must hold model.json and parameters.npy"):
        load(tmp_path / "z.npz")


def _with(**changes: Any) -> Any:
    return lambda d: d | changes


def _model(module: Any, config: Any) -> Any:
    return lambda d: d | {"model": {"module": module, "config": config}}


@pytest.mark.parametrize("change", [
    _with(format="other"), _with(version=2), _with(version=True), _with(model=[]), _with(model={}), _with(parameters="x"),
    _with(extra=None),
    _with(training=3), _with(more=1), lambda d: [], lambda d: b"null", lambda d: {k: x for k, x in d.items() if k != "extra"},
    lambda d: d | {"parameters": d["parameters"][:-1]}, lambda d: d | {"parameters": [d["parameters"][0]] * 13},
    lambda d: d | {"parameters": [*d["parameters"][:-1], "evil"]}, lambda d: d | {"parameters": [3] * 13},
    _model("os.system", {"command": "true"}), _model("Module", {}), _model("Nothing", {}), _model(None, {}),
    _model(["MLP"], {}),
    _model("builtins.eval", {}), _model("__class__", {}), _model("MLP", []), _model("MLP", {"nin": 2}),
    _model("MLP", {"nin": "2", "nouts": [3, 1]}),
    _model("MLP", {"nin": 2, "nouts": [3, 2]}), _model("MLP", {"nin": 2, "nouts": [3, 1], "evil": 1}),
    _model("MLP", {"nin": 2, "nouts": [3, 1], "activation": "exec"}),
    _model("MLP", {"nin": 2, "nouts": [3, 1], "activation": "__import__"}),
    _model("MLP", {"nin": 2, "nouts": [3, 1], "rng": 10**9, "init": "he"}),
    _model("MLP", {"nin": 10**9, "nouts": [10**9]}), _model("MLP", {"nin": 1, "nouts": [10**6] * 10**3}),
    _model("MLP", {"nin": 1e300, "nouts": [1]}),
    _model("MLP", {"nin": 10**5, "nouts": [10**5, -10**5, 10**5]}), _model("Layer", {"nin": 10**6, "nout": 10**6}),
    _model("Neuron", {"nin": 10**12}),
    _model("LinearRegression", {"nin": 10**9}),
    _model("Sequential", {"modules": [{"module": "Layer", "config": {"nin": 10**5, "nout": 10**5}}]}),
    _model("Conv2d", {"cin": 1, "cout": 1, "kernel_size": 10**6}),
    _model("Conv2d", {"cin": 1, "cout": 1, "kernel_size": [10**6, 10**6]}),
    _model("GAN", {"hidden": 10**9}), _model("LeNet", {"classes": 10**9}),
    _model("SoftmaxRegression", {"nin": 10**5, "classes": 10**5}),
    _model("OneVsRest", {"nin": 10**5, "classes": 10**5}), _model("Layer", {"nin": -10**6, "nout": -10**6}),
    _model("Maxout", {"nin": 10**4, "nout": 10**4, "pieces": 10**4}),
])
def test_a_document_that_is_not_as_it_should_be_is_refused(tmp_path: Path, change: Any) -> None:
    saved(tmp_path / "m")
    with zipfile.ZipFile(tmp_path / "m") as file:
        document = json.loads(file.read("model.json"))
    rewritten(tmp_path / "m", change(document))
    with pytest.raises(ValueError, match=r"m' (is no model file, or it is damaged|holds no model that can be built): ."):
        load(tmp_path / "m")


@pytest.mark.parametrize("text", [b"[" * 100000, b"\xff\xfe", b'{"a": NaN}', b'{"a": 1' + b"0" * 5000 + b"}", b"", b"1e999"])
def test_json_that_is_hard_to_read_is_refused(tmp_path: Path, text: bytes) -> None:
    saved(tmp_path / "m")
    rewritten(tmp_path / "m", text)
    with pytest.raises(ValueError, match="no model file"):
        load(tmp_path / "m")


def test_deeply_nested_modules_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "m")
    with zipfile.ZipFile(tmp_path / "m") as file:
        text = file.read("model.json").decode()
    start, end = text.index('"model": ') + 9, text.index(', "parameters"')
    deep = '{"module": "Sequential", "config": {"modules": [' * 300 + "]}}" * 300
    rewritten(tmp_path / "m", (text[:start] + deep + text[end:]).encode())
    with pytest.raises(ValueError, match="m' "):
        load(tmp_path / "m")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused(tmp_path: Path, bad: float) -> None:
    content = saved(tmp_path / "m")
    rewritten(tmp_path / "m", numbers=npy([bad, *[0.0] * 12]))
    assert len((tmp_path / "m").read_bytes()) == len(content)
    with pytest.raises(ValueError, match="a parameter is nan or infinite"):
        load(tmp_path / "m")


def test_archives_of_another_make_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path / "m")
    rewritten(tmp_path / "m", compress=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="must be stored uncompressed"):
        load(tmp_path / "m")
    for names in (("parameters.npy", "model.json"), ("../model.json", "parameters.npy"), ("model.json",)):
        saved(tmp_path / "m")
        rewritten(tmp_path / "m", names=names)
        with pytest.raises(ValueError, match=r"must hold model.json and parameters.npy"):
            load(tmp_path / "m")
    saved(tmp_path / "m")
    monkeypatch.setattr(nn.saving.archive, "LIMIT", 100)
    with pytest.raises(ValueError, match="more than 100 bytes"):
        load(tmp_path / "m")


def test_a_declared_size_beyond_the_file_is_not_believed(tmp_path: Path) -> None:
    content = saved(tmp_path / "m")
    place = content.rindex(b"PK\x01\x02")   # the directory's entry of parameters.npy: sizes at 20 and 24
    for where in (20, 24):
        changed = bytearray(content)
        changed[place + where:place + where + 4] = struct.pack("<I", 0xF0000000)
        (tmp_path / "m").write_bytes(changed)
        with pytest.raises(ValueError, match="no model file"):
            load(tmp_path / "m")


def test_loading_imports_nothing_that_the_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    saved(tmp_path / "m")
    with zipfile.ZipFile(tmp_path / "m") as file:
        document = json.loads(file.read("model.json"))
    for name in ("evil", "evil.Model", "nn.evil"):
        rewritten(tmp_path / "m", document | {"model": {"module": name, "config": {}}})
        with pytest.raises(ValueError, match="no model that can be built"):
            load(tmp_path / "m")
    assert "evil" not in sys.modules


@pytest.mark.parametrize("spoil", [
    lambda t: t.update(epoch="1"), lambda t: t.update(rng={"bit_generator": "PCG64"}), lambda t: t.update(optimizer=None),
    lambda t: t.pop("history"),
    lambda t: t.update(callbacks=[1]), lambda t: t["optimizer"].update(t=-1), lambda t: t.update(rng="x"),
    lambda t: t.update(history=3),
    lambda t: t["optimizer"]["slots"].update(exp_avg=[1e999] * 13),
])
def test_a_spoiled_checkpoint_is_refused(tmp_path: Path, spoil: Any) -> None:
    X, y = [[0.0, 1.0], [1.0, 0.0]], [0.5, 1.5]
    fit(MLP(2, [3, 1], rng=0), X, y, epochs=2, batch_size=1, rng=0, callbacks=[Checkpoint(tmp_path / "m", extra={"a": 1})])
    document, _ = read_archive(tmp_path / "m")
    assert load_extra(tmp_path / "m") == {"a": 1}
    spoil(document["training"])
    rewritten(tmp_path / "m", json.dumps(document).encode())
    model = MLP(2, [3, 1], rng=1)
    before = model.state_dict()
    with pytest.raises(ValueError, match=r"m' (cannot be resumed|is no model file)"):
        fit(model, X, y, epochs=2, batch_size=1, rng=0, resume=tmp_path / "m")
    assert model.state_dict() == before
    saved(tmp_path / "m")
    with pytest.raises(ValueError, match="no training to resume"):
        fit(model, X, y, resume=tmp_path / "m")
