"""Saving and loading: a model file holds names and numbers, never code (its format: nn/saving/archive.py).

Loading evaluates nothing: classes are looked up by name in `REGISTRY`; how large a model the file asks for is compared
with the numbers that it holds before anything is built; whatever does not fit is refused with a ValueError.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from itertools import pairwise
from typing import Any

from autograd.conversion import bounded

from ..activations import GeneralisedReLU
from ..conv import AvgPool2d, Conv2d, Flatten, MaxPool2d
from ..layers import MLP, Layer, Maxout, Neuron, Sequential
from ..lectures.models import LinearRegression, LogisticRegression, OneVsRest, Perceptron, SoftmaxRegression
from ..lectures.networks import GAN, LeNet
from ..module import Module
from .archive import one_line, read_archive, write_archive

__all__ = ["REGISTRY", "load", "load_extra", "register", "save", "write"]

FEW = 2 ** 14   # weights that any file may ask for
Size = Callable[..., int]
REGISTRY: dict[str, tuple[type[Module], Size]] = {}


def register(module: type[Module], size: Size) -> type[Module]:
    """Let files name this class. `size(**config)` is how many weights the constructor makes of its arguments, not
    counting those of Modules among them: a file that asks for many more than it holds is refused before it is built.
    """
    REGISTRY[module.__name__] = module, size
    return module


register(MLP, lambda nin, nouts, **_: sum([a * b for a, b in pairwise([nin, *nouts])]))
register(Layer, lambda nin, nout, **_: nin * nout)
register(Maxout, lambda nin, nout, pieces: nin * nout * pieces)
register(Conv2d, lambda cin, cout, kernel_size, **_:
         cin * cout * math.prod(kernel_size if isinstance(kernel_size, list) else [kernel_size] * 2))
register(SoftmaxRegression, lambda nin, classes: nin * classes)
register(OneVsRest, lambda nin, classes: nin * classes)
register(LeNet, lambda classes: 32 * classes)
register(GAN, lambda hidden: 4 * hidden)
_class: type[Module]
for _class in (Neuron, LinearRegression, LogisticRegression, Perceptron):
    register(_class, lambda nin, **_: nin)
for _class in (Sequential, Flatten, AvgPool2d, MaxPool2d, GeneralisedReLU):
    register(_class, lambda **_: 0)


def save(module: Module, path: str | os.PathLike[str], extra: Mapping[str, Any] | None = None) -> None:
    """Write the module to a file, in one motion: at every moment there is the old file or the new one.

    extra   what belongs to it, as feature names or classes: a dict of texts, finite numbers, lists and dicts
    ValueError if it could not be read back: a class that is not registered, a function as activation, a parameter
    that is not finite.

    >>> import os, tempfile
    >>> from nn import MLP
    >>> path = os.path.join(tempfile.mkdtemp(), "xor.model")
    >>> save(MLP(2, [3, 1], rng=0), path, extra={"classes": ["no", "yes"]})
    >>> load(path)([0.5, 1.0]) == MLP(2, [3, 1], rng=0)([0.5, 1.0]), load_extra(path)
    (True, {'classes': ['no', 'yes']})
    """
    write(path, module, extra)


def load(path: str | os.PathLike[str]) -> Module:
    """The module in a file that `save` or a Checkpoint wrote; ValueError if the file is damaged, foreign or hostile."""
    document, parameters = read_archive(path)
    try:
        if not document["model"]:
            raise ValueError("it is a checkpoint of a class that is not known here: make that model and call "
                             "fit(…, resume=path)")
        asked = list(_sizes(document["model"]))
        if min(asked) < 0 or not sum(asked) <= max(len(parameters), FEW):
            raise ValueError(f"it asks for {bounded(sum(asked))} weights and holds {len(parameters)} numbers")
        module: Module = _built(document["model"])
        module.load_state_dict(parameters)
    except Exception as error:   # whatever constructors say about arguments that they were not meant to get
        raise ValueError(f"{os.fspath(path)!r} holds no model that can be built: {one_line(error)}") from error
    return module


def load_extra(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What was saved with the module as `extra`; ValueError as for `load`."""
    return dict(read_archive(path)[0]["extra"])


def write(path: str | os.PathLike[str], module: Module, extra: Mapping[str, Any] | None = None,
          training: Mapping[str, Any] | None = None) -> None:
    """`save`, with the state of a training: then the class need not be registered, its numbers are for fit(…, resume=path)."""
    try:
        model = _described(module)
        list(_sizes(model))
    except ValueError:
        if training is None:
            raise
        model = {}
    write_archive(path, {"model": model, "extra": dict(extra or {}), "training": training}, module.state_dict())


def _described(x: Any, where: str = "the model") -> Any:
    """A Module as {"module": class name, "config": arguments}, and what is in them likewise."""
    if isinstance(x, Module):
        name = type(x).__name__
        if REGISTRY.get(name, (None,))[0] is not type(x):
            raise ValueError(_unknown(name))
        try:
            config = x.config()
        except (AttributeError, TypeError) as error:
            raise ValueError(f"a model file holds names and numbers, no code: {error}") from error
        return {"module": name, "config": {key: _described(part, f"{name}({key}=…)") for key, part in config.items()}}
    if isinstance(x, (list, tuple)):
        return [_described(part, where) for part in x]
    if isinstance(x, dict):
        return {str(key): _described(part, where) for key, part in x.items()}
    if x is None or isinstance(x, (bool, int, float, str)):
        return x
    raise ValueError(f"{where} is {bounded(x)}: a model file holds names and numbers, no code; give the name of an "
                     "activation in nn.ACTIVATIONS, or keep the model's state_dict()")


def _sizes(model: Any) -> Iterator[int]:
    """The weights that every module described in `model` asks for."""
    stack = [model]
    while stack:
        x = stack.pop()
        if isinstance(x, dict) and "module" in x:
            if x["module"] not in REGISTRY:
                raise ValueError(_unknown(x["module"]))
            yield REGISTRY[x["module"]][1](**x["config"])
        stack += x.values() if isinstance(x, dict) else x if isinstance(x, list) else []


def _built(x: Any) -> Any:
    """What `_described` describes."""
    if isinstance(x, list):
        return [_built(part) for part in x]
    if not isinstance(x, dict):
        return x
    if "module" not in x:
        return {key: _built(part) for key, part in x.items()}
    module, config = REGISTRY[x["module"]][0], {key: _built(part) for key, part in x["config"].items()}
    several = [p.name for p in signature(module).parameters.values() if p.kind is p.VAR_POSITIONAL]
    made = module(*[part for name in several for part in config.pop(name)], **config)
    if not config.keys() <= made.config().keys():
        raise ValueError(f"{x['module']} keeps the arguments {', '.join(made.config())}, not {', '.join(config)}")
    return made


def _unknown(name: Any) -> str:
    return (f"{bounded(name)} is no class that a file may name: call nn.saving.register with it before saving and before "
            f"loading, or keep its state_dict(); there are {', '.join(REGISTRY)}")
