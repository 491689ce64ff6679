"""Batch methods through SciPy: L-BFGS, conjugate gradients, Newton-CG, … on the whole cost and its exact gradient."""

from __future__ import annotations

from typing import Any

from ..checks import not_negative
from ..data.examples import Examples
from ..losses import Loss
from ..module import Module
from .gradients import Cost, Gradients, eager_gradients
from .scores import choose_loss

__all__ = ["minimize"]


def minimize(model: Module, X: Any, y: Any, loss: str | Loss = "auto", l2: float = 0.0, method: str = "L-BFGS-B",
             gradients: Gradients | None = None, **options: Any) -> Any:
    """Train `model` by scipy.optimize.minimize; it gets the parameters that are found, and SciPy's result is returned.

    X, y, loss, l2, gradients   as in `fit`: the cost is J of all examples
    method    one that uses a gradient and no Hessian: "L-BFGS-B", "BFGS", "CG", "TNC", "SLSQP"
    options   of the method, as maxiter=100 or gtol=1e-8
    result    .fun is J, .x the parameters, .success and .message how it ended
    ImportError without SciPy. An error or Ctrl-C on the way leaves the parameters as they were.

    >>> from nn import LinearRegression
    >>> line = LinearRegression(1)
    >>> result = minimize(line, [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> round(line([10.0]).data, 4), result.success
    (21.0, True)
    """
    try:
        from scipy.optimize import minimize as scipy_minimize
    except ImportError as error:
        raise ImportError("nn.minimize needs SciPy: pip install scipy; nn.fit needs nothing more") from error
    L, examples, _ = choose_loss(model, Examples.of(X, y), loss)
    cost = Cost(model, L, not_negative("minimize(l2)", l2), gradients or eager_gradients)
    parameters, everything = model.parameters(), range(len(examples))
    start = [p.data for p in parameters]

    def put(numbers: Any) -> None:
        for p, x in zip(parameters, numbers, strict=True):
            p.data = float(x)

    def cost_and_gradient(numbers: Any) -> tuple[float, list[float]]:
        put(numbers)
        J = cost(examples, everything) / len(examples)
        return J, [p.grad for p in parameters]
    try:
        result = scipy_minimize(cost_and_gradient, start, jac=True, method=method, options=options)
    except BaseException:
        put(start)
        raise
    put(result.x)
    return result
