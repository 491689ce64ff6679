"""The estimators, as scikit-learn uses them and without it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograd import no_grad
from nn.data.rows import make_circles, make_moons
from nn.training.estimators import NeuralNetClassifier, NeuralNetRegressor

ROOT = Path(__file__).parents[1]
THOROUGH = os.environ.get("XIGRAD_PROFILE") == "thorough"
BOTH = pytest.mark.parametrize("estimator", [NeuralNetClassifier, NeuralNetRegressor])
X, Y = make_moons(60, noise=0.1, rng=0)


def quick(estimator: Any, **settings: Any) -> Any:
    return estimator(**{"hidden": (4,), "epochs": 10, "random_state": 0} | settings)


@pytest.mark.slow
@BOTH
def test_scikit_learn_checks(estimator: Any) -> None:
    """check_estimator, on small networks unless XIGRAD_PROFILE=thorough asks for the defaults."""
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = checks.check_estimator(estimator() if THOROUGH else quick(estimator), on_fail=None, on_skip=None)
    assert len(found) > 40
    assert {check["check_name"]: check["exception"] for check in found if check["status"] == "failed"} == {}


class TestWithScikitLearn:
    def test_pipeline_and_cross_validation(self) -> None:
        selection = pytest.importorskip("sklearn.model_selection")
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import MinMaxScaler
        scores = selection.cross_val_score(make_pipeline(MinMaxScaler(), quick(NeuralNetClassifier)), X, Y, cv=3)
        assert scores.shape == (3,) and scores.min() > 0.6

    def test_grid_search(self) -> None:
        selection = pytest.importorskip("sklearn.model_selection")
        search = selection.GridSearchCV(quick(NeuralNetClassifier), {"lr": [1e-6, 0.1], "hidden": [(4,)]}, cv=2).fit(X, Y)
        assert search.best_params_ == {"lr": 0.1, "hidden": (4,)}

    @BOTH
    def test_clone(self, estimator: Any) -> None:
        base = pytest.importorskip("sklearn.base")
        made = quick(estimator, lr=0.5).fit(X, Y)
        copy = base.clone(made)
        assert copy.get_params() == made.get_params() and not hasattr(copy, "model_")
        assert base.is_classifier(made) is (estimator is NeuralNetClassifier)
        assert base.is_regressor(made) is (estimator is NeuralNetRegressor)

    def test_errors_of_their_classes(self) -> None:
        exceptions = pytest.importorskip("sklearn.exceptions")
        with pytest.raises(exceptions.NotFittedError, match="NeuralNetRegressor instance is not fitted"):
            NeuralNetRegressor().predict(X)


def test_scikit_learn_is_not_imported() -> None:
    program = ("import sys, nn; from nn.training.estimators import NeuralNetClassifier as C, NeuralNetRegressor as R\n"
               "for E in (C, R):\n"
               "    try: E().predict([[1.0]])\n"
               "    except (ValueError, AttributeError) as error: assert 'not fitted' in str(error)\n"
               "    E(epochs=1).fit([[0.0], [1.0]], [[0], [1]]).score([[0.0]], [0])\n"
               "print({'sklearn', 'scipy', 'pandas', 'matplotlib', 'tqdm', 'viz'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.stdout.strip(), done.returncode) == ("set()", 0), done.stderr


class TestClassifier:
    def test_words_as_labels(self) -> None:
        labels = np.array(["under", "over"])[Y]
        made = quick(NeuralNetClassifier, lr=0.1, epochs=20).fit(X, labels)
        assert made.classes_.tolist() == ["over", "under"]
        assert set(made.predict(X)) == {"over", "under"} and made.score(X, labels) > 0.8
        P = made.predict_proba(X)
        np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-12)
        assert (made.classes_[P.argmax(axis=1)] == made.predict(X)).all()

    def test_prediction_is_the_engine_s(self) -> None:
        """predict_proba is the softmax of what the scalar network gives for standardised rows, to the last digits."""
        made = quick(NeuralNetClassifier).fit(X, Y)
        with no_grad():
            logits = np.array([[z.data for z in made.model_(row)] for row in made.standardizer_.transform(X).tolist()])
        e = np.exp(logits)
        np.testing.assert_allclose(made.predict_proba(X), e / e.sum(axis=1, keepdims=True), rtol=1e-12)

    def test_units_of_the_features_do_not_matter(self) -> None:
        near, far = (quick(NeuralNetClassifier).fit(A, Y) for A in (X, X * [1e6, 1e-6] + [1e3, 5.0]))
        np.testing.assert_allclose(near.predict_proba(X), far.predict_proba(X * [1e6, 1e-6] + [1e3, 5.0]), rtol=1e-4)

    def test_extreme_logits(self) -> None:
        made = quick(NeuralNetClassifier).fit(X, Y)
        for w in made.model_.parameters():
            w.data *= 1e6
        assert np.isfinite(made.predict_proba(X)).all()


class TestRegressor:
    def test_a_line(self) -> None:
        x = np.linspace(-3, 3, 40)[:, None]
        y = 1e4 * x[:, 0] - 7e5
        made = quick(NeuralNetRegressor, hidden=(), lr=0.1, epochs=30).fit(x, y)
        assert made.score(x, y) > 0.999
        assert abs(made.predict([[0.5]])[0] - (5e3 - 7e5)) < 500

    def test_score_is_r_squared(self) -> None:
        made = quick(NeuralNetRegressor).fit(X, X[:, 0])
        y, found, w = X[:, 0], made.predict(X), np.arange(60.0)
        assert made.score(X, y) == pytest.approx(1 - ((y - found) ** 2).sum() / ((y - y.mean()) ** 2).sum(), rel=1e-12)
        metrics = pytest.importorskip("sklearn.metrics")
        assert made.score(X, y, w) == pytest.approx(metrics.r2_score(y, found, sample_weight=w), rel=1e-12)

    def test_a_constant_target(self) -> None:
        made = quick(NeuralNetRegressor).fit(X, np.full(60, 3.0))
        assert np.abs(made.predict(X) - 3).max() < 2


class TestBoth:
    @BOTH
    def test_the_same_seed_gives_the_same_run(self, estimator: Any) -> None:
        one, two, other = (quick(estimator, random_state=seed).fit(X, Y).model_.state_dict() for seed in (3, 3, 4))
        assert one == two != other
        legacy = [quick(estimator, random_state=np.random.RandomState(3)).fit(X, Y).model_.state_dict() for _ in range(2)]
        assert legacy[0] == legacy[1]

    @BOTH
    def test_pickle(self, estimator: Any) -> None:
        made = quick(estimator).fit(X, Y)
        assert (pickle.loads(pickle.dumps(made)).predict(X) == made.predict(X)).all()

    @BOTH
    def test_early_stopping(self, estimator: Any) -> None:
        made = quick(estimator, early_stopping=3, epochs=200, lr=0.3).fit(X, Y)
        assert made.n_iter_ == len(made.history_) < 200
        assert "val_loss" in made.history_.rows[0]

    @BOTH
    def test_parameters(self, estimator: Any) -> None:
        made = estimator(hidden=(3, 2), lr=0.5)
        assert repr(made) == f"{estimator.__name__}(hidden=(3, 2), lr=0.5)"
        assert made.set_params(epochs=7, **{"lr": 0.1}) is made and made.get_params()["epochs"] == 7
        with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
            made.set_params(depth=2)

    @BOTH
    @pytest.mark.parametrize("settings", [{"hidden": (0,)}, {"activation": "wobble"}, {"optimizer": "magic"}, {"epochs": -1},
                                          {"batch_size": 0}, {"l2": -1.0}, {"lr": -1.0}, {"early_stopping": 0}])
    def test_wrong_settings_are_told_when_fitting(self, estimator: Any, settings: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"0|wobble|magic|-1"):
            quick(estimator, **settings).fit(X, Y)

    @BOTH
    def test_names_of_columns(self, estimator: Any) -> None:
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame(X, columns=["a", "b"])
        made = quick(estimator).fit(frame, pd.Series(Y))
        assert made.feature_names_in_.tolist() == ["a", "b"] and made.n_features_in_ == 2
        assert (made.predict(frame) == made.predict(frame.copy())).all()
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            made.predict(X)
        with pytest.raises(ValueError, match=r"(?s)unseen at fit time:\n- c.*now missing:\n- b"):
            made.predict(frame.rename(columns={"b": "c"}))
        with pytest.raises(ValueError, match="same order"):
            made.predict(frame[["b", "a"]])
        assert not hasattr(quick(estimator).fit(frame, Y).fit(X, Y), "feature_names_in_")

    @BOTH
    @pytest.mark.parametrize(("rows", "targets", "error", "says"), [
        ([[np.nan, 1]] * 2, [0, 1], ValueError, "NaN or infinity"),
        ([1.0, 2.0], [0, 1], ValueError, "Expected 2D array"),
        (np.empty((0, 2)), [], ValueError, "0 sample"),
        (np.empty((2, 0)), [0, 1], ValueError, "0 feature"),
        ([[1.0], [2.0]], [0], ValueError, "inconsistent numbers"),
        ([[1.0], [2.0]], None, ValueError, "requires y"),
        ([[1.0], [2.0]], [0, np.inf], ValueError, "y contains NaN or infinity"),
        ([[1.0], [2.0]], [[0, 1], [1, 0]], ValueError, "1d array"),
        ([[1j], [2.0]], [0, 1], ValueError, "Complex"),
        ([[1.0], ["x"]], [0, 1], ValueError, "x"),
    ])
    def test_what_is_refused(self, estimator: Any, rows: Any, targets: Any, error: type[Exception], says: str) -> None:
        with pytest.raises(error, match=says):
            quick(estimator).fit(rows, targets)

    def test_classes_that_are_none(self) -> None:
        for targets, says in (([0, 0], "only one class"), ([0.5, 1.5], "continuous")):
            with pytest.raises(ValueError, match=says):
                quick(NeuralNetClassifier).fit([[1.0], [2.0]], targets)

    @BOTH
    def test_another_number_of_features(self, estimator: Any) -> None:
        with pytest.raises(ValueError, match=r"X has 3 features, but NeuralNet.* is expecting 2"):
            quick(estimator).fit(X, Y).predict(np.ones((1, 3)))


def test_circles_by_a_network_of_the_lecture_s_activations() -> None:
    points, y = make_circles(80, factor=0.4, noise=0.05, rng=0)
    for activation in ("tanh", "relu", "sigmoid"):
        made = NeuralNetClassifier((8,), activation=activation, lr=0.1, epochs=30, random_state=0).fit(points, y)
        assert made.score(points, y) > 0.95, activation
