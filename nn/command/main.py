"""python3 -m nn: train a network on a data set, see how it does on rows that it has not seen, save it, predict with it."""

from __future__ import annotations

import argparse
import csv
import importlib.util
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from autograd.command.shell import Parser, Refused, say
from autograd.display import terminal_width

from ..activations import ACTIVATIONS
from ..data.datasets import Array
from ..data.rows import DATASETS, Dataset, Standardizer, load_csv, make_circles, make_moons, train_test_split
from ..data.tables import Cells, Column
from ..layers import MLP
from ..lectures.networks import LeNet
from ..module import Module
from ..optim import OPTIMIZERS
from ..schedules import CosineAnnealingLR
from ..training.loop import fit
from ..training.state import History
from .report import CNN_OF_DIGITS, MLP_OF_DIGITS, report, scores, shifted
from .tabular import TableModel

# What is taken where the command says nothing; for digits chosen as report.py tells.
DEFAULTS: dict[str, Any] = {"layers": (16,), "activation": "tanh", "epochs": 30, "batch_size": 16, "lr": 0.03, "l2": 0.0}
DIGITS: dict[str, dict[str, Any]] = {"mlp": MLP_OF_DIGITS, "cnn": CNN_OF_DIGITS}
POINTS: dict[str, Callable[..., tuple[Array, Array]]] = {"moons": make_moons, "circles": make_circles}
PICTURES = (".svg", ".png", ".pdf")


def main(argv: Sequence[str] | None = None, out: TextIO | None = None, err: TextIO | None = None) -> int:
    """Run the command. Returns 0, or 2, with one line on `err`, for what cannot be done."""
    out, err = out or sys.stdout, err or sys.stderr
    try:
        options = _parser().parse_args(argv)
        _check(options)
        for line in _run(options, out, err):
            _write(out, f"{line}\n")
    except (Refused, ValueError, ArithmeticError, OSError, ImportError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        _write(err, f"nn: {' '.join(str(error).split())}\n")
        return 2
    return 0


def _run(options: argparse.Namespace, out: TextIO, err: TextIO) -> Iterator[str]:
    """The lines to print, each as soon as it is known."""
    if options.report:
        return report()
    if options.load is None:
        return _train(options, out, err)
    model = TableModel.load(options.load)
    if options.predict is None:
        return iter([repr(model)])
    return _predictions(model, Cells.read(sys.stdin if options.predict == "-" else options.predict))


# ---- training

def _train(options: argparse.Namespace, out: TextIO, err: TextIO) -> Iterator[str]:
    """Train, score on held-out rows, save. Files are written last, when all else has succeeded."""
    data = _dataset(options)
    X, X_held, y, y_held = train_test_split(data.X, data.y, options.test, options.seed, stratify=bool(data.classes))
    about = f"{data.target_name} is one of {len(data.classes)} classes" if data.classes else f"{data.target_name} is a number"
    yield f"{options.data}: {len(data)} rows, {X.shape[1]} features; {about}; {len(X_held)} rows are held out"
    if data.missing:
        yield (f"missing cells ({'those rows are dropped' if options.missing == 'drop' else 'filled in'}): "
               + ", ".join([f"{name} {count}" for name, count in data.missing.items()]))
    digits = options.data == "digits"
    if digits:
        X, y = shifted(X), np.tile(y, 5)
        yield f"each of the {len(X) // 5} images to train on is also there moved by a pixel up, down, left and right"
    rows, goal = Standardizer().fit(X), None if data.classes else Standardizer().fit(y)
    for kind in [options.model] if options.model else DIGITS if digits else ["mlp"]:
        settings = _settings(options, kind)
        if kind == "cnn":
            network: Module = LeNet(len(data.classes), rng=options.seed)
            name = "LeNet (convolutions, mean pooling and two layers, tanh)"
        else:
            sizes = [*settings["layers"], len(data.classes) or 1]
            network = MLP(X.shape[1], sizes, activation=settings["activation"], init="xavier", rng=options.seed)
            name = f"MLP {'-'.join(map(str, (X.shape[1], *sizes)))}, {settings['activation']}"
        yield (f"{name}, {len(network.parameters())} parameters; {options.optimizer}, lr {settings['lr']:g}, "
               f"l2 {settings['l2']:g}, batches of {min(settings['batch_size'], len(X))}, seed {options.seed}")
        start = time.perf_counter()
        history = fit(network, rows.transform(X), goal.transform(y) if goal else y,
                      loss="squared_error" if goal else "cross_entropy", optimizer=options.optimizer, lr=settings["lr"],
                      epochs=settings["epochs"], batch_size=settings["batch_size"], l2=settings["l2"], rng=options.seed,
                      schedule=partial(CosineAnnealingLR, T_max=settings["epochs"]) if digits else None, out=err)
        if not len(history):
            raise Refused("stopped before the first epoch was done: nothing was learned")
        yield (f"{'interrupted after' if history.interrupted else 'trained for'} {len(history)} epochs in "
               f"{time.perf_counter() - start:.1f} s: "
               f"loss {history['loss'][0]:.4g} in the first, {history['loss'][-1]:.4g} in the last")
        model = TableModel.around(network, data, rows, goal)
        yield ""
        yield from scores(data.classes, y_held, model.outputs(X_held), terminal_width(out))
    if options.save:
        model.save(options.save)
        yield f"wrote {options.save}"
    if options.plot:
        _plot(history, options.plot, options.data)
        yield f"wrote {options.plot}"


def _settings(options: argparse.Namespace, kind: str) -> dict[str, Any]:
    """What was given, and for the rest what suits the data and the kind of model."""
    usual = DEFAULTS | (DIGITS[kind] if options.data == "digits" else {})
    return {name: x if getattr(options, name) is None else getattr(options, name) for name, x in usual.items()}


def _dataset(options: argparse.Namespace) -> Dataset:
    if options.data in DATASETS:
        return DATASETS[options.data]()
    if options.data in POINTS:
        X, y = POINTS[options.data](200, noise=0.1, rng=options.seed)
        return Dataset(X, y, ("x1", "x2"), "class", ("0", "1"), (Column("x1"), Column("x2")))
    if not options.data.lower().endswith((".csv", ".tsv", ".txt")) and not Path(options.data).exists():
        raise Refused(f"--data {options.data}: neither a file nor a data set; the data sets are "
                      f"{', '.join([*DATASETS, *POINTS])}")
    data = load_csv(options.data, options.target, options.categorical, options.missing, dict.fromkeys(options.categories, ()),
                    options.ignore)
    if len(data) < 4:
        raise Refused(f"{options.data}: {len(data)} rows are too few to train on some and hold out others")
    if len(data.classes) == 1:
        raise Refused(f"{options.data}: every {data.target_name} is {data.classes[0]!r}; there is nothing to tell apart")
    return data


def _plot(history: History, path: str, title: str) -> None:
    """The loss of every epoch, as a picture."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="epoch", ylabel=f"loss ({history.loss_name})", title=title)
    axes.plot(history["epoch"], history["loss"])
    picture = io.BytesIO()
    figure.savefig(picture, format=Path(path).suffix[1:].lower())
    Path(path).write_bytes(picture.getvalue())


# ---- prediction

def _predictions(model: TableModel, cells: Cells) -> Iterator[str]:
    """A CSV file: the predicted class of every row and its probability, or the predicted number."""
    outputs = model.predict(cells)
    if model.classes:
        e = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        rows = [[model.target, "probability"], *[[model.classes[int(i)], f"{p:.6f}"] for i, p in zip(
            e.argmax(axis=1), e.max(axis=1) / e.sum(axis=1), strict=True)]]
    else:
        rows = [[model.target], *[[repr(float(x))] for x in outputs]]
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(row)
        yield line.getvalue()


# ---- the command line

def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python3 -m nn", allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a network on a data set, print how it does on held-out rows, save it; or predict.",
        epilog=("example: python3 -m nn --data heart.csv --target AHD --layers 8 --save heart.zip\n"
                "         python3 -m nn --load heart.zip --predict patients.csv\n"
                "the network for digits has settings of its own: see python3 -m nn --data digits\n"
                f"data sets: {', '.join(POINTS)}; with scikit-learn (extra data) {', '.join(DATASETS)}"))
    parser.add_argument("--data", metavar="NAME|FILE", default="moons", help="a data set, or a CSV file (default: moons)")
    parser.add_argument("--target", metavar="COLUMN", help="the column of the file to predict (default: the last)")
    parser.add_argument("--categories", type=_names, default=(), metavar="COLUMNS",
                        help="columns of numbers that are categories; the target, to learn classes from numbers")
    parser.add_argument("--ignore", type=_names, default=(), metavar="COLUMNS", help="columns to leave out")
    parser.add_argument("--categorical", choices=("onehot", "ordinal"), default="onehot", help="what becomes of categories")
    parser.add_argument("--missing", choices=("error", "drop", "mean"), default="error", help="what to do about missing cells")
    parser.add_argument("--model", choices=("mlp", "cnn"), help="a multi-layer perceptron, or for digits a convolutional "
                        "network (default: mlp; of digits both, one after the other)")
    parser.add_argument("--layers", type=_layers, metavar="SIZES",
                        help="sizes of the hidden layers, as 16,16; none for no hidden layer (default: 16)")
    parser.add_argument("--activation", choices=sorted({*ACTIVATIONS} - {"maxout"}), metavar="NAME",
                        help=f"of the hidden layers: {', '.join(sorted(ACTIVATIONS))} (default: tanh)")
    parser.add_argument("--optimizer", choices=sorted(OPTIMIZERS), default="adam", metavar="NAME",
                        help=f"{', '.join(sorted(OPTIMIZERS))} (default: adam)")
    parser.add_argument("--epochs", type=_whole(1), metavar="N", help="how often each row is seen (default: 30)")
    parser.add_argument("--batch-size", type=_whole(1), metavar="N", help="rows for each step (default: 16)")
    parser.add_argument("--lr", type=_real(0, 1e6, open=True), metavar="X",
                        help="the learning rate (default: 0.03)")
    parser.add_argument("--l2", type=_real(0, 1e12), metavar="X", help="the weight of the L2 term (default: 0)")
    parser.add_argument("--test", type=_real(0, 1, open=True), default=0.25, metavar="SHARE",
                        help="the share of the rows to hold out (default: 0.25)")
    parser.add_argument("--seed", type=_whole(0), default=0, metavar="N", help="the same seed gives the same run (default: 0)")
    parser.add_argument("--save", metavar="FILE", help="write the trained model, with the columns that it reads")
    parser.add_argument("--plot", metavar="FILE", help=f"draw the losses ({', '.join(PICTURES)}; needs matplotlib)")
    parser.add_argument("--load", metavar="FILE", help="a model that was saved; alone, tell what it is")
    parser.add_argument("--predict", metavar="FILE", help="a CSV file whose rows the loaded model predicts; - for stdin")
    parser.add_argument("--report", action="store_true", help="print the accuracies that this package reaches")
    return parser


def _check(options: argparse.Namespace) -> None:
    """Refuse what cannot end well, before any work is done."""
    default = _parser().parse_args([])
    given = {name for name, x in vars(options).items() if x != getattr(default, name)}
    alone, allowed = ("load", {"load", "predict"}) if options.load else ("", given)
    if options.report:
        alone, allowed = "report", {"report"}
    for name in sorted(given - allowed):
        raise Refused(f"--{name.replace('_', '-')} has no meaning beside --{alone}")
    if options.predict and not options.load:
        raise Refused("--predict needs a trained model: add --load FILE")
    if options.data in {*DATASETS, *POINTS}:
        for name in sorted(given & {"target", "categories", "ignore", "categorical", "missing"}):
            raise Refused(f"--{name} is about CSV files, and {options.data} is none")
    if options.model == "cnn":
        if options.data != "digits":
            raise Refused("--model cnn is for images: add --data digits")
        for name in sorted(given & {"layers", "activation"}):
            raise Refused(f"--{name} has no meaning beside --model cnn")
    if options.data == "digits" and not options.model and (one := sorted(given & {"save", "plot", "layers", "activation"})):
        raise Refused(f"--{one[0]} is about one model, and digits are learned by two: add --model mlp or --model cnn")
    for path in filter(None, (options.save, options.plot)):
        folder = Path(path).parent
        if Path(path).is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
            raise Refused(f"cannot write {path}: " + (
                "it is a folder" if Path(path).is_dir() else f"{folder} is no folder that can be written to"))
    if options.plot:
        if Path(options.plot).suffix.lower() not in PICTURES:
            raise Refused(f"cannot write {options.plot}: a picture ends in {', '.join(PICTURES)}")
        if importlib.util.find_spec("matplotlib") is None:
            raise Refused("--plot draws with matplotlib, which is not installed: pip install 'xigrad[plot]'")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _layers(text: str) -> tuple[int, ...]:
    return () if text.strip() == "none" else tuple(_whole(1)(part.strip()) for part in text.split(","))


def _whole(least: int) -> Any:
    def number(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) <= 10**9):
            raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a whole number of at least {least}")
        return int(text)
    return number


def _real(low: float, high: float, open: bool = False) -> Any:
    def number(text: str) -> float:
        try:
            x = float(text)
        except ValueError:
            x = float("nan")
        if not (low < x < high if open else low <= x <= high):
            raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a number {'between' if open else 'from'} {low:g} "
                                             f"{'and' if open else 'to'} {high:g}")
        return x
    return number


def _write(stream: TextIO, text: str) -> None:
    say(stream, text)
    stream.flush()
