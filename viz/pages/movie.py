"""The training movie: a page in which a network learns, epoch by epoch, with its regions, its loss and its weights.

The page is one file that loads nothing: its Content-Security-Policy allows only the script and the style it was made with.
Names are data: JSON in the page, put into it as text.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autograd.conversion import bounded

from ..graphs.svg import visible
from ..plots.common import COLOURS, whole
from ..plots.network import Network, read_network, subscript
from ..plots.outputs import chosen, class_names, class_values, ends_in_sigmoid, examples, history_columns, outputs, spread
from .page import Page, page

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["Movie", "Recorder", "training_movie"]

BUDGET = 4_000_000   # characters of JSON that all frames may take
CURVE = 201          # points of ŷ(x)
POINTS = 1000        # examples that are drawn
UNITS = 8            # places of a layer's column in the diagram
WHOLE = 65535        # what stands for the probability 1; of 255 steps, the border between undecided classes shows each


class Recorder:
    """A callback of `nn.fit` that keeps what `training_movie` shows: after an epoch, the model's outputs and parameters.

    X, y        the examples to show: rows of numbers, and classes (as labels or one-hot rows) or numbers. For two columns
                the movie has the regions of the plane, for one the curve ŷ(x), for more only loss and network
    every       record each `every`th epoch, and the first and the last
    resolution  points along each axis at which the model is asked for a frame, 2 to 100; for a curve there are 201
    frames      how many are kept at most, 2 to 1000, and no more than 4 million characters of the page: when there are too
                many, every second one is dropped
    classes     the names of the classes, in their order; `features`, those of the columns of X

    >>> class Line:
    ...     w, b, activation = [2.0], 1.0, "linear"
    ...     def __call__(self, x):
    ...         return 2 * x[0] + 1
    >>> recorder = Recorder([[0.0], [1.0]], [1.2, 2.9])
    >>> recorder.record(Line(), epoch=1, loss=0.05)
    >>> training_movie(recorder)
    <Movie of 1 frame>
    """

    def __init__(self, X: Any, y: Any, every: int = 1, *, resolution: int = 40, frames: int = 200,
                 classes: Sequence[Any] | None = None, features: Sequence[str] | None = None) -> None:
        self.X, self.y = examples(X, y, "Recorder")
        kept = slice(None, None, -(-len(self.X) // POINTS))
        self.X, self.y = self.X[kept], self.y[kept]
        columns = self.X.shape[1]
        if features is not None and len(features) != columns:
            raise ValueError(f"Recorder(features={bounded(list(features))}): {len(features)} names for {columns} columns of X")
        self.features = [str(name) for name in features or [f"x{subscript(i + 1)}" for i in range(columns)]]
        self.every, self.classes = whole("Recorder(every)", every, 1), classes
        self.resolution = whole("Recorder(resolution)", resolution, 2, 100)
        self._most = whole("Recorder(frames)", frames, 2, 1000)
        self._grid = self._asked()
        self._forget()

    def _forget(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.frames: list[dict[str, Any]] = []
        self.loss_name, self._stride, self._kept = "", 1, self._most

    def on_fit_start(self, state: Any) -> None:
        """Begin anew, unless the training is resumed, with the model as it is."""
        if state.epoch == 0:
            self._forget()
        self._look(state)

    def on_epoch_end(self, state: Any) -> None:
        """Record, if it is the turn of this epoch."""
        if self._turn(state.epoch):
            self._look(state)

    def on_fit_end(self, state: Any) -> None:
        """Record the last epoch."""
        self._look(state)

    def _look(self, state: Any) -> None:
        self.rows, self.loss_name = state.history.rows, state.history.loss_name
        if not self.frames or self.frames[-1]["epoch"] < state.epoch:
            self._record(state.model, state.epoch)

    def record(self, model: Any, epoch: int, loss: float | None = None) -> None:
        """Record a model in a training loop of your own: a callable of a row, after `epoch` epochs, with its loss then.

        ValueError unless the epochs grow, or if an output is not finite; TypeError if it gives labels.
        """
        if self.frames and epoch <= self.frames[-1]["epoch"]:
            raise ValueError(f"record(epoch={epoch!r}): epoch {self.frames[-1]['epoch']} is recorded already; go on from there")
        if loss is not None:
            self.rows.append({"epoch": epoch, "loss": float(loss)})
        if not self.frames or self._turn(epoch):
            self._record(model, epoch)

    def _turn(self, epoch: int) -> bool:
        """Whether to record this epoch. When there are too many frames, every second one goes, and fewer will come."""
        if len(self.frames) >= self._kept:
            self.frames, self._stride = self.frames[::2], 2 * self._stride
        return epoch % (self.every * self._stride) == 0

    def _record(self, model: Any, epoch: int) -> None:
        found = outputs(model, self.X)
        if found.ndim == 1:
            raise TypeError(f"Recorder: the model gives labels, as {bounded(found[0])}: it must give scores, a float for each "
                            "class")
        if not self.frames:
            self._begin(model, found.shape[1])
        frame: dict[str, Any] = {"epoch": epoch}
        if self._values is not None:
            threshold = 0.5 if ends_in_sigmoid(model) else 0.0
            frame["accuracy"] = float((self._values[chosen(found, threshold)] == self.y).mean())
        if self._grid is not None:
            frame["picture"] = self._picture(model, self._grid)
        if self.network:
            frame["net"] = [[[float(f"{w:.6g}") for w in unit] for unit in layer] for layer in self.network.numbers(UNITS)]
            frame["largest"] = self.network.largest()
        if not self.frames:
            self._kept = max(1, min(self._most - 1, BUDGET // len(json.dumps(frame))))   # and the last
        self.frames.append(frame)

    def _begin(self, model: Any, k: int) -> None:
        """See what kind of model it is, by its k outputs and y: a regression has one for more than two numbers."""
        import numpy as np
        try:
            self.network: Network | None = read_network(model)
        except (TypeError, ValueError):   # no chain of dense layers: there is no diagram then
            self.network = None
        self._values: Array | None = None
        self.kind, self.names = "regression", list[str]()
        if k > 1 or len(np.unique(self.y)) <= 2 or self.y.dtype.kind not in "iufb":
            self._values = values = class_values(self.y, k)
            self.kind, self.names = "binary" if k == 1 else "classes", class_names(values, self.classes)

    def _asked(self) -> Array | None:
        """The rows at which the model is asked: over the line or the plane of the examples; None in more dimensions."""
        import numpy as np
        columns = self.X.shape[1]
        if columns > 2:
            return None
        axes = [spread(column, CURVE if columns == 1 else self.resolution, 0.12) for column in self.X.T]
        return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, columns)

    def _picture(self, model: Any, rows: Array) -> Any:
        """The outputs on the grid, probabilities if it classifies: numbers of a curve, two bytes each of a plane."""
        import numpy as np
        found = outputs(model, rows)
        if self._values is not None:
            found = probabilities(found, ends_in_sigmoid(model))
        if rows.shape[1] == 1:
            return [[float(f"{p:.6g}") for p in column] for column in found.T]
        if self._values is None:
            low, high = float(self.y.min()), float(self.y.max())
            found = np.clip((found - low) / (high - low), 0.0, 1.0)
        return base64.b64encode(np.rint(WHOLE * found.T).astype("<u2").tobytes()).decode()

    def data(self) -> dict[str, Any]:
        """What the page shows, but for the losses."""
        import numpy as np
        data: dict[str, Any] = {"kind": self.kind, "classes": self.names, "features": self.features, "frames": self.frames,
                                "resolution": self.resolution}
        if self._grid is not None:
            targets = self.y if self._values is None else np.searchsorted(self._values, self.y)
            data |= {"points": self.X.tolist(), "targets": targets.tolist(),
                     "range": [[float(column.min()), float(column.max())] for column in self._grid.T]}
        if self.network:
            data["network"] = {"sizes": self.network.sizes, "activations": self.network.activations,
                               "columns": self.network.places(UNITS)}
        return data


def probabilities(found: Array, sigmoid: bool) -> Array:
    """The probability of each class from outputs, shape (n, k); of the second class if k is 1. They are logits, unless the
    model ends in sigmoids, whose share of their sum is taken, or each row is a distribution already.
    """
    import numpy as np
    if found.shape[1] == 1:
        return found if sigmoid else (1 + np.tanh(found / 2)) / 2
    if found.min() >= 0 and np.allclose(found.sum(axis=1), 1):
        return found
    if sigmoid:
        return np.asarray(found / np.maximum(found.sum(axis=1, keepdims=True), np.finfo(float).tiny))
    e = np.exp(found - found.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True, repr=False)
class Movie(Page):
    """A page that plays `frames` frames of a training."""

    frames: int

    def __repr__(self) -> str:
        return f"<Movie of {self.frames} frame{'s' * (self.frames != 1)}>"


def training_movie(source: Any, title: str = "Training") -> Movie:
    """A page with a slider over the epochs of a training, to play or to step through with the arrow keys.

    source  a `Recorder` that was among the callbacks of `nn.fit`; or the history alone, for the loss alone
    title   above the page, and its name

    ValueError if nothing was recorded or a loss is not finite, TypeError for another source.

    >>> movie = training_movie([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> movie, "<script" in movie.html
    (<Movie of 2 frames>, True)
    """
    recorder = source if isinstance(source, Recorder) else None
    if recorder and not recorder.frames:
        raise ValueError("training_movie: nothing was recorded: give the recorder to fit(callbacks=[recorder]) first, or call "
                         "recorder.record(model, epoch) after each epoch")
    columns: dict[str, list[float]] = {}
    epochs: list[float] = []
    if recorder is None or recorder.rows:
        epochs, columns = history_columns(recorder or source, ("loss", "val_loss"), "training_movie")
    data = recorder.data() if recorder else {"frames": [{"epoch": epoch} for epoch in _thinned(epochs)]}
    shown = {frame["epoch"] for frame in data["frames"]} | set(_thinned(epochs))
    if len(shown) < len(epochs):
        columns = {name: [x for e, x in zip(epochs, xs, strict=True) if e in shown] for name, xs in columns.items()}
        epochs = [e for e in epochs if e in shown]
    data |= {"title": visible(title, 80), "epochs": epochs, "columns": columns, "colours": COLOURS,
             "loss": getattr(recorder or source, "loss_name", "").replace("_", " ")}
    return Movie(page("movie", str(data["title"]), data), len(data["frames"]))


def _thinned(epochs: list[float]) -> list[float]:
    """About 1000 of them, and the last."""
    step = max(1, len(epochs) // 1000)
    return epochs[::step] + epochs[-1:] * ((len(epochs) - 1) % step != 0)
