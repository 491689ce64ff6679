"""Targets: what a loss may be given as one, and what is wrong with it told by the name of the loss."""

from __future__ import annotations

from typing import Any

from autograd import Value, sign
from autograd.compiler import TraceError
from autograd.conversion import bounded, to_float

__all__ = ["OneHot", "class_of", "classes_of", "is_list", "numbers", "pairs_of", "rest", "signed_pairs", "symbolic",
           "yes_or_no"]


class OneHot(list[Any]):
    """Weights of classes of which one is 1 and all others are 0: of symbols that cannot be seen."""


def is_list(x: Any) -> bool:
    """Whether it holds numbers, rather than being one."""
    return hasattr(x, "__len__") and getattr(x, "shape", None) != ()


def symbolic(*xs: Any) -> bool:
    """Whether one of them is a symbol: its number is not known while a graph is compiled, and is not looked at."""
    return any([isinstance(x, Value) and x.symbolic for x in xs])


def numbers(target: Any) -> list[Any]:
    """The numbers of a target: floats, and Values as they are."""
    return [y if isinstance(y, Value) else to_float(y, "a target") for y in (target if is_list(target) else [target])]


def class_of(output: Any, threshold: float = 0.0) -> int:
    """The class of plain outputs: the first of the largest; or 1 where the one output exceeds `threshold`, else 0."""
    return max(range(len(output)), key=output.__getitem__) if is_list(output) else int(output > threshold)


def pairs_of(output: Any, target: Any, name: str) -> list[tuple[Any, Any]]:
    """(output, target) of each number; ValueError if there are more of one than of the other."""
    outputs, ys = list(output) if is_list(output) else [output], numbers(target)
    if len(outputs) != len(ys) or not ys:
        raise ValueError(f"{name}: the output has {len(outputs)} number{'s' * (len(outputs) != 1)} and the target {len(ys)}")
    return list(zip(outputs, ys, strict=True))


def yes_or_no(output: Any, target: Any, name: str) -> list[tuple[Any, Any]]:
    """The same; of K ≥ 2 outputs and a class index, 1 for that class and 0 for the rest."""
    if is_list(output) and len(output) > 1 and not is_list(target):
        of_class = dict(classes_of(output, target, name))
        return [(z, of_class.get(k, 0.0)) for k, z in enumerate(output)]
    return pairs_of(output, target, name)


def rest(y: Any, name: str) -> Any:
    """1 − y of a target that is a probability."""
    if not symbolic(y) and (y < 0 or y > 1):
        raise ValueError(f"{name}: the target is {y:g}, and must be 0, 1 or a probability between "
                         "(of labels ±1 give (y + 1)/2; of class indices the model needs one output for each class)")
    return 1 - y


def signed_pairs(output: Any, target: Any, name: str) -> list[tuple[Any, Any]]:
    """(output, target) of each number, of labels ±1."""
    pairs = pairs_of(output, target, name)
    for _, y in pairs:
        if not symbolic(y) and abs(y) != 1:
            raise ValueError(f"{name}: the target is {y:g}, and must be −1 or 1 (of labels 0 and 1 give 2y − 1)")
    return pairs


def classes_of(output: Any, target: Any, name: str) -> list[tuple[int, Any]]:
    """(k, weight y_k) of the classes: of an index, that class alone."""
    if not is_list(output) or len(output) < 2:
        raise ValueError(f"{name}: the output has one number, and needs one for each of K ≥ 2 classes "
                         "(of one logit use binary_cross_entropy_with_logits)")
    if symbolic(target):
        return [(k, 1 - abs(sign(target - k))) for k in range(len(output))]   # whether y is k
    if not is_list(target):
        y = target.data if isinstance(target, Value) else to_float(target, f"{name}: the target")
        if not (0 <= y < len(output) and y == int(y)):
            raise ValueError(f"{name}: the target {y:g} is no class: with {len(output)} outputs they are 0 … {len(output) - 1}")
        return [(int(y), 1.0)]
    pairs = pairs_of(output, target, name)
    if symbolic(*[y for _, y in pairs]):
        if name == "hinge":
            raise TraceError("hinge of several classes: to be compiled, its target must be a class index")
        return [(k, y) for k, (_, y) in enumerate(pairs)]
    total = sum([y.data if isinstance(y, Value) else y for _, y in pairs])
    if min(y for _, y in pairs) < 0 or abs(total - 1) > 1e-6:
        raise ValueError(f"{name}: the weights of the classes, {bounded(list(target))}, must not be negative and must sum to 1")
    return [(k, y) for k, (_, y) in enumerate(pairs)]
