"""Images in a grid: examples, the weights of units that look at images, and what convolutions make of one.

An image is a list of rows of numbers (or Values), shape (height, width); or of channels, (channels, height, width) or
(height, width, channels), one channel being grey and three red, green and blue; or all its numbers in one row, with `shape`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from autograd import no_grad
from autograd.conversion import bounded

from .common import DIVERGING, literal, new_axes, number, whole
from .network import is_neuron, layers_of, units_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    Array = npt.NDArray[Any]

__all__ = ["plot_feature_maps", "plot_images", "plot_weights"]

MOST = 400              # images in a grid
GAP, TITLE = 0.12, 0.26  # between images and above them, where an image is 1 wide


@dataclass(frozen=True)
class Group:
    """Images that share their colours: arrays (height, width), or (height, width, 3) of numbers from 0 to 1."""

    images: Sequence[Array]
    titles: Sequence[str]    # one for each, or none
    caption: str
    colours: Any
    limits: tuple[float, float]


def plot_images(images: Any, shape: Sequence[int] | None = None, ax: Axes | None = None, *, titles: Sequence[Any] | None = None,
                columns: int | None = None, limits: tuple[float, float] | None = None) -> Axes:
    """One image, or several in a grid.

    images   one image or a sequence of them, of at most 400
    shape    of each image, (20, 20) or with channels (3, 20, 20); needed where an image is one row of numbers, or in colours
    titles   what stands above each image, as its label
    columns  images in a row
    limits   the numbers that are black and white; by default the least and the largest of all images

    With `ax=None` it draws in a new figure. ValueError or TypeError for what is not drawable, ImportError without matplotlib.

    >>> from matplotlib.figure import Figure
    >>> ax = plot_images([[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]], (2, 3), Figure().subplots(), titles=["up", "down"])
    >>> [image.get_array().tolist() for image in ax.images]
    [[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], [[5.0, 4.0, 3.0], [2.0, 1.0, 0.0]]]
    """
    found = [_shown(image, f"plot_images: image {i}") for i, image in enumerate(_images(images, shape, "plot_images"))]
    if len(found) > MOST:
        raise ValueError(f"plot_images: {len(found)} images are more than {MOST}: choose some, as images[:100]")
    named = _titles("plot_images", titles, len(found))
    if columns is not None:
        whole("plot_images(columns)", columns, 1)
    if limits is not None and not (len(limits) == 2 and limits[0] < limits[1]):
        raise ValueError(f"plot_images(limits={limits!r}): give two numbers, the smaller one first")
    low, high = limits or _range(found)
    scaled = [((image - low) / (high - low)).clip(0.0, 1.0) if image.ndim == 3 else image for image in found]
    group = Group(scaled, named or [], "", "gray", (low, high))
    return _grid([group], ax, columns or _columns(len(found)))


def plot_weights(layer: Any, shape: Sequence[int] | None = None, ax: Axes | None = None, *, titles: Sequence[Any] | None = None,
                 columns: int | None = None, limit: int = 100, colorbar: bool = True) -> Axes:
    """The weights of each unit as an image: blue above 0, brown below, grey at 0, on the same scale for all.

    layer    a Layer or a Neuron of nn, a model, of which its first layer is drawn, or what has `neurons` and `w` as they do;
             of a Conv2d each kernel, a row for each of its outputs
    shape    (height, width) of the images that a dense layer looks at; by default a square
    titles   what stands above each unit; by default its number, and, of several, that of its input channel
    columns  images in a row;  limit  how many units, or outputs, are drawn, the first ones
    colorbar whether to draw the scale, which ends at the largest |weight| that is drawn

    With `ax=None` it draws in a new figure. ValueError or TypeError for what is not drawable, ImportError without matplotlib.

    >>> from matplotlib.figure import Figure
    >>> class Unit:
    ...     w, b = [0.5, -1.0, 0.25, 0.0], 0.0
    >>> ax = plot_weights(Unit(), ax=Figure().subplots())
    >>> ax.images[0].get_array().tolist(), ax.images[0].get_clim()
    ([[0.5, -1.0], [0.25, 0.0]], (-1.0, 1.0))
    """
    import numpy as np
    layer = layers_of(layer)[0]
    whole("plot_weights(limit)", limit, 1)
    if _is_convolution(layer):
        kernels = _pixels(layer.w)
        n, found = len(kernels), [kernel for output in kernels[:limit] for kernel in output]
        several = kernels.shape[1] > 1
        columns = kernels.shape[1] if columns is None and several else columns
        names = [f"{o + 1}" + f", {c + 1}" * several for o in range(min(n, limit)) for c in range(kernels.shape[1])]
    else:
        units = units_of(layer)
        if not all(map(is_neuron, units)):
            raise TypeError(f"plot_weights: {bounded(layer)} has no neurons with weights w: it draws the first layer of dense "
                            "networks, as nn.MLP, nn.Layer and nn.Neuron, and nn.Conv2d")
        size, n = len(units[0].w), len(units)
        side = math.isqrt(size)
        if shape is None and side * side != size:
            raise ValueError(f"plot_weights: a unit has {size} weights, which is no square: give shape=(height, width)")
        height, width = (side, side) if shape is None else _two(shape)
        if height * width != size:
            raise ValueError(f"plot_weights(shape={(height, width)}): that is {height * width} weights, and a unit has {size}")
        found = [np.reshape([number(w) for w in unit.w], (height, width)) for unit in units[:limit]]
        names = [f"unit {k + 1}" for k in range(len(found))]
    named = _titles("plot_weights", titles, len(found)) or names
    top = max([float(np.abs(image).max()) for image in found]) or 1.0
    if not math.isfinite(top):
        raise ValueError("plot_weights: a weight is not finite")
    columns = _columns(len(found)) if columns is None else whole("plot_weights(columns)", columns, 1)
    ax = _grid([Group(found, named, "", _diverging(), (-top, top))], ax, columns)
    if n > limit:
        ax.set_title(f"the first {limit} of {n}", fontsize=10)
    if colorbar:
        ax.figure.colorbar(ax.images[0], ax=ax, shrink=0.8, label="weight")
    return ax


def plot_feature_maps(model: Any, image: Any, ax: Axes | None = None, *, shape: Sequence[int] | None = None,
                      columns: int = 8) -> Axes:
    """An image, and what every convolution of a network makes of it: below each other, an image for each of their outputs.

    model    a chain of layers, as nn.LeNet or an nn.Sequential, with a Conv2d among them; nothing is recorded of the call
    image    one image; where it is one row of numbers, `shape`, or a square

    Black is the least number of a layer, white the largest. With `ax=None` it draws in a new figure. ValueError or TypeError
    for what is not drawable, ImportError without matplotlib.
    """
    layers = layers_of(model)
    last = max([i for i, layer in enumerate(layers) if _is_convolution(layer)], default=-1)
    if last < 0:
        raise TypeError(f"plot_feature_maps: {bounded(model)} has no convolution: it draws what the nn.Conv2d of a chain of "
                        "layers give, as in nn.LeNet")
    whole("plot_feature_maps(columns)", columns, 1)
    pixels = _pixels(image)
    side = math.isqrt(pixels.size)
    if shape is None and pixels.ndim == 1 and side * side == pixels.size:
        shape = (side, side)
    found = _images(pixels if pixels.ndim == 1 or shape else [pixels], shape, "plot_feature_maps")
    if len(found) != 1:
        raise ValueError(f"plot_feature_maps: it draws one image, and was given {len(found)}")
    [seen] = found
    groups = [_maps([_shown(seen, "plot_feature_maps: the image")], f"input: {_sizes(seen.shape)}")]
    x: Any = (seen if seen.ndim == 3 else seen[None]).tolist()
    with no_grad():
        for i, layer in enumerate(layers[:last + 1]):
            x = layer(x)
            if _is_convolution(layer):
                maps = _pixels(x)
                name = getattr(layer, "activation", "")
                groups.append(_maps(list(maps), f"layer {i + 1}, {type(layer).__name__}"
                                    f"{f' and {name}' if isinstance(name, str) and name else ''}: {_sizes(maps.shape)}"))
    return _grid(groups, ax, min(columns, max([len(group.images) for group in groups])))


def _maps(images: list[Array], caption: str) -> Group:
    return Group(images, [], caption, "gray", _range(images))


def _sizes(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def _is_convolution(layer: Any) -> bool:
    """Whether its weights are kernels, of shape (outputs, inputs, height, width)."""
    w: Any = getattr(layer, "w", None)
    depth = 0
    while hasattr(w, "__len__") and len(w):
        w, depth = w[0], depth + 1
    return depth == 4


# ---- reading images

def _pixels(x: Any) -> Array:
    """The numbers of nested lists or an array of numbers or Values; ValueError or TypeError if they are no table."""
    import numpy as np
    try:
        return np.asarray(x, dtype=float)
    except (TypeError, ValueError):
        return np.frompyfunc(number, 1, 1)(np.array(x, dtype=object)).astype(float)  # type: ignore[no-any-return]


def _images(images: Any, shape: Sequence[int] | None, where: str) -> list[Array]:
    """The images one by one, each of (height, width) or with channels, checked."""
    import numpy as np
    if shape is not None and (len(shape) not in (2, 3) or any([whole(f"{where}(shape)", n, 1) < 1 for n in shape])):
        raise ValueError(f"{where}(shape={bounded(tuple(shape))}): give (height, width), or (channels, height, width)")
    try:
        found = _pixels(images)
    except (TypeError, ValueError) as error:
        _ragged(images, shape, where, error)
    if found.size == 0:
        raise ValueError(f"{where}: there is no image")
    if shape is None:
        if found.ndim not in (2, 3, 4):
            raise ValueError(f"{where}: in {found.ndim} dimension{'s' * (found.ndim != 1)} it is not known what an image is: "
                             "give shape=(height, width)")
        one_by_one = [found] if found.ndim == 2 else list(found)
    else:
        size, one = math.prod(shape), found.ndim == 1 or found.shape == tuple(shape)
        one_by_one = [found] if one else list(found)
        if one_by_one[0].size != size:
            raise ValueError(f"{where}(shape={tuple(shape)}): an image of that shape has {size} numbers, and "
                             f"{'the' if one else 'each'} image has {one_by_one[0].size}")
        one_by_one = [image.reshape(tuple(shape)) for image in one_by_one]
    for i, image in enumerate(one_by_one):
        if not np.isfinite(image).all():
            raise ValueError(f"{where}: image {i} has a number that is not finite")
    return one_by_one


def _ragged(images: Any, shape: Sequence[int] | None, where: str, error: Exception) -> NoReturn:
    """Name the image of another size."""
    sizes = []
    for i, image in enumerate(images):
        try:
            sizes.append(_pixels(image).size)
        except (TypeError, ValueError):
            raise ValueError(f"{where}: image {i} is no table of numbers: its rows have different lengths, or there is a word "
                             "in it") from None
    wanted = math.prod(shape) if shape is not None else sizes[0]
    wrong = next((i for i, n in enumerate(sizes) if n != wanted), None)
    if wrong is None:
        raise ValueError(f"{where}: the images are no table of numbers ({error})")
    raise ValueError(f"{where}: image {wrong} has {sizes[wrong]} numbers, and "
                     + (f"shape={tuple(shape)} takes {wanted}" if shape is not None else f"image 0 has {wanted}"))


def _shown(image: Array, where: str) -> Array:
    """(height, width), or (height, width, 3) for colours."""
    import numpy as np
    if image.ndim == 3 and image.shape[0] in (1, 3):
        image = np.moveaxis(image, 0, -1)
    if image.ndim == 3 and image.shape[2] not in (1, 3):
        raise ValueError(f"{where} has the shape {image.shape}: one channel is shown in grey and three in colours; show "
                         "others one by one, as images of their own")
    return image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image


def _titles(where: str, titles: Sequence[Any] | None, n: int) -> list[str] | None:
    if titles is not None and len(titles) != n:
        raise ValueError(f"{where}(titles={bounded(list(titles))}): {len(titles)} titles for {n} images")
    return None if titles is None else list(map(str, titles))


def _two(shape: Sequence[int]) -> tuple[int, int]:
    if len(shape) != 2:
        raise ValueError(f"plot_weights(shape={bounded(tuple(shape))}): give (height, width)")
    height, width = (whole("plot_weights(shape)", n, 1) for n in shape)
    return height, width


def _range(images: Sequence[Array]) -> tuple[float, float]:
    low, high = min([float(image.min()) for image in images]), max([float(image.max()) for image in images])
    return low, high if high > low else low + 1.0


# ---- drawing

def _columns(n: int) -> int:
    """In a row all of up to eight images, of more so many that the grid is a little wider than high."""
    return n if n <= 8 else max(5, math.ceil(math.sqrt(1.6 * n)))


def _diverging() -> Any:
    from matplotlib.colors import LinearSegmentedColormap
    return LinearSegmentedColormap.from_list("weights", DIVERGING)


def _grid(groups: Sequence[Group], ax: Axes | None, columns: int) -> Axes:
    """The groups below each other, their images in rows of `columns`, each 1 wide and as high as it is."""
    places: list[tuple[float, float]] = []   # of every image its left border, and how far down its upper one is
    captions: list[float] = []
    down = 0.0
    for group in groups:
        captions.append(down)
        down += TITLE * 1.4 * bool(group.caption)
        height = max([image.shape[0] / image.shape[1] for image in group.images])
        for i in range(0, len(group.images), columns):
            down += TITLE * bool(group.titles)
            places += [(k * (1 + GAP), down) for k in range(min(columns, len(group.images) - i))]
            down += height + GAP
    across = columns * (1 + GAP) - GAP
    scale = min(max(0.95, 3.0 / across), 10.0 / max(across, down))
    ax = new_axes(ax, (max(3.0, scale * across + 0.6), max(1.2, scale * down + 0.5)))
    at = iter(places)
    for group, top in zip(groups, captions, strict=True):
        if group.caption:
            ax.text(0.0, -top - TITLE * 0.9, literal(group.caption, 60), fontsize=9, va="bottom")
        for i, image in enumerate(group.images):
            x, y = next(at)
            ax.imshow(image, cmap=group.colours, vmin=group.limits[0], vmax=group.limits[1], interpolation="nearest",
                      extent=(x, x + 1, -y - image.shape[0] / image.shape[1], -y))
            if group.titles:
                ax.text(x + 0.5, -y + 0.03, literal(group.titles[i], 14), fontsize=8, ha="center", va="bottom")
    ax.set(xlim=(-GAP / 2, across + GAP / 2), ylim=(-down, GAP / 2), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax
