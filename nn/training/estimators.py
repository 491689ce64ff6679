"""Networks as scikit-learn estimators: fit, predict, score, in pipelines and grid searches.

scikit-learn is not imported: what it asks an estimator for is answered here, its own classes of warnings and errors are
used if it has been loaded, and only its request for tags, which it alone makes, imports it.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..data.datasets import Array
from ..data.examples import Examples
from ..data.rows import Standardizer
from ..layers import MLP
from .callbacks import EarlyStopping
from .loop import fit
from .scores import outputs
from .state import History

__all__ = ["NeuralNetClassifier", "NeuralNetRegressor"]


class _NeuralNet:
    """What both estimators share: the parameters, the checks of X and the training.

    hidden          the sizes of the hidden layers; () for none
    activation      of the hidden layers: a name of `nn.ACTIVATIONS`, or a function
    optimizer, lr, epochs, batch_size, l2   as in `nn.fit`
    early_stopping  None, or a patience in epochs: a tenth of the rows is kept to validate on, and training ends when
                    their loss has not become lower for that long; the best parameters are restored
    random_state    a seed, a numpy Generator or RandomState, or None for fresh entropy

    X, and y in a regression, are standardised inside. After `fit`: model_ (an MLP on standardised rows), history_,
    n_iter_ (epochs done), n_features_in_, and feature_names_in_ where X had names.
    """

    n_features_in_: int
    feature_names_in_: Array
    model_: MLP
    history_: History
    n_iter_: int
    standardizer_: Standardizer

    def __init__(self, hidden: Any = (16,), *, activation: Any = "tanh", optimizer: Any = "adam", lr: float = 0.03,
                 epochs: int = 30, batch_size: int | None = 16, l2: float = 0.0, early_stopping: int | None = None,
                 random_state: Any = None) -> None:
        self.hidden = hidden
        self.activation = activation
        self.optimizer = optimizer
        self.lr = lr
        self.epochs = epochs
        self.batch_size = batch_size
        self.l2 = l2
        self.early_stopping = early_stopping
        self.random_state = random_state

    # ---- parameters, as scikit-learn's BaseEstimator has them

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        return {name: p.default for name, p in inspect.signature(cls).parameters.items()}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments, by name."""
        return {name: getattr(self, name) for name in self._defaults()}

    def set_params(self, **params: Any) -> Self:
        """Change some of the constructor's arguments. ValueError for a name that is none of them."""
        for name, value in params.items():
            if name not in self._defaults():
                raise ValueError(f"Invalid parameter {name!r} for estimator {self!r}. "
                                 f"Valid parameters are: {list(self._defaults())!r}.")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        changed = [f"{name}={getattr(self, name)!r}" for name, default in self._defaults().items()
                   if repr(getattr(self, name)) != repr(default)]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    # ---- training and prediction on standardised numbers

    def _train(self, X: Array, y: Array, outputs: int, loss: str) -> None:
        rng = _generator(self.random_state)
        self.standardizer_ = Standardizer().fit(X)
        model = MLP(X.shape[1], [*self.hidden, outputs], activation=self.activation, init="xavier", rng=rng)
        stopping = [] if self.early_stopping is None or len(X) < 10 else [EarlyStopping(patience=self.early_stopping)]
        self.history_ = fit(model, self.standardizer_.transform(X), y, loss=loss, optimizer=self.optimizer, lr=self.lr,
                            epochs=self.epochs, batch_size=self.batch_size, l2=self.l2, rng=rng, verbose=False,
                            validation=0.1 if stopping else None, callbacks=stopping)
        self.model_, self.n_iter_ = model, len(self.history_)

    def _outputs(self, X: Any) -> Array:
        if not self.__sklearn_is_fitted__():
            raise _theirs("sklearn.exceptions", "NotFittedError", NotFittedError)(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with appropriate arguments before "
                "using this estimator.")
        rows = self.standardizer_.transform(self._rows(X, reset=False))
        return np.asarray(outputs(self.model_, Examples.of(rows)), dtype=float)

    # ---- checks of what was passed, in the words that scikit-learn's users know

    def _rows(self, X: Any, reset: bool) -> Array:
        """X as floats of shape (n, d), n and d ≥ 1, all finite; with `reset` its columns are learned, else compared."""
        if hasattr(X, "tocsr") or hasattr(X, "toarray"):
            raise TypeError("Sparse data was passed, but dense data is required. Use '.toarray()' to convert it.")
        names = np.asarray(X.columns, dtype=object) if hasattr(X, "columns") else None
        if names is not None and not all(isinstance(name, str) for name in names):
            names = None
        if np.ma.is_masked(X):
            raise ValueError("Input X contains masked numbers: drop the rows or fill the gaps")
        rows = np.asarray(X)
        if rows.dtype.kind == "c":
            raise ValueError("Complex data not supported")
        if rows.ndim != 2:
            raise ValueError(f"Expected 2D array, got {rows.ndim}D array instead. Reshape your data either using "
                             "array.reshape(-1, 1) or array.reshape(1, -1)")
        for axis, what in enumerate(("sample", "feature")):
            if rows.shape[axis] < 1:
                raise ValueError(f"Found array with 0 {what}(s) (shape={rows.shape}) while a minimum of 1 is required.")
        try:
            rows = rows.astype(float)
        except TypeError as error:
            raise TypeError(f"argument must be a string or a number: {error}") from None
        if not np.isfinite(rows).all():
            raise ValueError("Input X contains NaN or infinity.")
        if reset:
            self.n_features_in_ = rows.shape[1]
            if names is not None:
                self.feature_names_in_ = names
            elif hasattr(self, "feature_names_in_"):
                del self.feature_names_in_
        else:
            self._compare(rows.shape[1], names)
        return rows

    def _compare(self, width: int, names: Array | None) -> None:
        """Whether these are the columns that `fit` was given."""
        known, me = getattr(self, "feature_names_in_", None), type(self).__name__
        if known is not None and names is not None and list(known) != list(names):
            unseen, missing = sorted(set(names) - set(known)), sorted(set(known) - set(names))
            raise ValueError("The feature names should match those that were passed during fit.\n" + (
                _bullets("Feature names unseen at fit time:", unseen)
                + _bullets("Feature names seen at fit time, yet now missing:", missing)
                or "Feature names must be in the same order as they were in fit.\n"))
        if width != self.n_features_in_:
            raise ValueError(f"X has {width} features, but {me} is expecting {self.n_features_in_} features as input")
        if (known is None) != (names is None):
            warnings.warn(f"X does not have valid feature names, but {me} was fitted with feature names" if names is None else
                          f"X has feature names, but {me} was fitted without feature names", UserWarning, stacklevel=4)

    def _targets(self, y: Any, n: int) -> Array:
        """y as an array of shape (n,)."""
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None")
        if np.ma.is_masked(y):
            raise ValueError("Input y contains masked numbers: drop the rows or fill the gaps")
        targets = np.asarray(y)
        if targets.ndim == 2 and targets.shape[1] == 1:
            warnings.warn("A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
                          "(n_samples,), for example using ravel().",
                          _theirs("sklearn.exceptions", "DataConversionWarning", UserWarning), stacklevel=3)
            targets = targets.ravel()
        if targets.ndim != 1:
            raise ValueError(f"y should be a 1d array, got an array of shape {targets.shape} instead.")
        if len(targets) != n:
            raise ValueError(f"Found input variables with inconsistent numbers of samples: {[n, len(targets)]}")
        if targets.dtype.kind == "c":
            raise ValueError("Complex data not supported")
        if targets.dtype.kind == "f" and not np.isfinite(targets).all():
            raise ValueError("Input y contains NaN or infinity.")
        return targets


class NeuralNetClassifier(_NeuralNet):
    """A multi-layer perceptron with a softmax over the classes, trained on the cross-entropy.

    The arguments and attributes are those told above; classes_ holds the labels, sorted.

    >>> from nn.data import make_circles
    >>> X, y = make_circles(60, factor=0.3, rng=0)
    >>> NeuralNetClassifier(hidden=(8,), random_state=0).fit(X, y).score(X, y)
    1.0
    """

    _estimator_type = "classifier"
    classes_: Array

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, Tags, TargetTags
        return Tags(estimator_type="classifier", target_tags=TargetTags(required=True), classifier_tags=ClassifierTags())

    def fit(self, X: Any, y: Any) -> Self:
        """Train on rows X, shape (n, d), and their labels y, shape (n,), of two classes or more."""
        rows = self._rows(X, reset=True)
        targets = self._targets(y, len(rows))
        if targets.dtype.kind == "f" and (targets != np.rint(targets)).any():
            raise ValueError("Unknown label type: continuous. Maybe you are trying to fit a classifier, which expects "
                             "discrete classes on a regression target with continuous values.")
        self.classes_, indices = np.unique(targets, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("Classifier can't train when only one class is present: y must hold 2 classes or more")
        self._train(rows, indices, len(self.classes_), "cross_entropy")
        return self

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, shape (n, classes)."""
        logits = self._outputs(X)
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        result: Array = e / e.sum(axis=1, keepdims=True)
        return result

    def predict(self, X: Any) -> Array:
        """The most probable class of each row, shape (n,)."""
        places = self._outputs(X).argmax(axis=1)
        result: Array = np.asarray(self.classes_)[places]
        return result

    def score(self, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> float:
        """The accuracy: the share of the rows whose class is predicted."""
        return float(np.average(self.predict(X) == np.asarray(y), weights=sample_weight))  # type: ignore[arg-type]


class NeuralNetRegressor(_NeuralNet):
    """A multi-layer perceptron with one linear output, trained on the squared error.

    The arguments and attributes are those of NeuralNetClassifier, without classes_.

    >>> X = np.linspace(-1, 1, 40)[:, None]
    >>> NeuralNetRegressor(random_state=0).fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.95
    True
    """

    _estimator_type = "regressor"
    target_standardizer_: Standardizer

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import RegressorTags, Tags, TargetTags
        return Tags(estimator_type="regressor", target_tags=TargetTags(required=True), regressor_tags=RegressorTags())

    def fit(self, X: Any, y: Any) -> Self:
        """Train on rows X, shape (n, d), and numbers y, shape (n,)."""
        rows = self._rows(X, reset=True)
        targets = self._targets(y, len(rows)).astype(float)
        self.target_standardizer_ = Standardizer().fit(targets)
        self._train(rows, self.target_standardizer_.transform(targets), 1, "squared_error")
        return self

    def predict(self, X: Any) -> Array:
        """The number predicted for each row, shape (n,)."""
        outputs = self._outputs(X)
        return self.target_standardizer_.inverse(outputs)

    def score(self, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> float:
        """R²: 1 − Σ(y − ŷ)² / Σ(y − ȳ)²; for a constant y 1 if it is predicted, else 0."""
        targets, found = np.asarray(y, dtype=float), self.predict(X)
        w = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        rest, total = w @ (targets - found) ** 2, w @ (targets - np.average(targets, weights=w)) ** 2
        return float(1 - rest / total) if total else float(rest == 0)


class NotFittedError(ValueError, AttributeError):
    """What is raised, unless scikit-learn is loaded and its own class of that name is."""


def _theirs(module: str, name: str, ours: Any) -> Any:
    """scikit-learn's class, if it has been loaded by somebody."""
    return getattr(sys.modules.get(module), name, ours)


def _bullets(title: str, names: list[Any]) -> str:
    return "".join(f"{line}\n" for line in (title, *[f"- {name}" for name in names])) if names else ""


def _generator(random_state: Any) -> np.random.Generator:
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    return np.random.default_rng(random_state)
