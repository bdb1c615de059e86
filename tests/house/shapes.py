"""Shapes of tensors, checked while the tests run.

``q: Annotated[Tensor, "B Q H D"]`` says that ``q`` has four axes. In one call a letter always means the same size; a
number means itself, ``1|F`` either, ``_`` any size, and ``...`` at the start any axes (in one call always the same).
``"F | B F"`` is either of two shapes. Outside of the tests an annotation costs nothing and nothing is checked. Modules
give names to shapes they use often: ``Queries = Annotated[Tensor, "B Q H D"]``.
"""

from __future__ import annotations

import inspect
import pkgutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from importlib import import_module
from typing import Annotated, Any, get_args, get_origin

import numpy as np
import torch
from torch import Tensor

CHECKED = ("core.flow", "models", "codecs", "sampling", "training.methods")  # modules, or packages of modules

Sizes = dict[str, Any]


class ShapeError(TypeError):
    """A tensor has another shape than its annotation says."""


def matches(shape: Sequence[int], axes: str, sizes: Sizes) -> bool:
    """Whether ``shape`` is as ``axes`` say, given the ``sizes`` of letters so far; if so, its own are added to them."""
    names, found = axes.split(), dict(sizes)
    if names[0] == "...":
        names = names[1:]
        leading = tuple(shape[: len(shape) - len(names)])
        if len(shape) < len(names) or found.setdefault("...", leading) != leading:
            return False
        shape = shape[len(leading) :]
    if len(shape) != len(names) or not all(_fits(*pair, found) for pair in zip(names, shape, strict=True)):
        return False
    sizes.update(found)
    return True


def _fits(name: str, size: int, sizes: Sizes) -> bool:
    for one in name.split("|"):
        if one == "_" or (one.isdigit() and int(one) == size):
            return True
        if not one.isdigit() and sizes.get(one, size) == size:
            sizes[one] = size
            return True
    return False


def shapes_in(annotation: Any) -> list[str]:
    """Every shape that ``annotation`` states, in order."""
    stated = [one for one in get_args(annotation)[1:] if isinstance(one, str)] if _is_shape(annotation) else []
    return stated or [shape for one in get_args(annotation) for shape in shapes_in(one)]


def check(value: object, annotation: Any, sizes: Sizes, what: str) -> None:
    """Raise :class:`ShapeError` if ``value`` has none of the shapes its ``annotation`` gives."""
    if isinstance(value, tuple) and get_origin(annotation) is tuple:
        for number, pair in enumerate(zip(value, get_args(annotation), strict=True)):
            check(*pair, sizes, f"{what}[{number}]")
        return
    alternatives = [axes for stated in shapes_in(annotation) for axes in stated.split(" | ")]
    shape = value.shape if isinstance(value, Tensor | np.ndarray) else None
    if alternatives and shape is not None and not any(matches(shape, axes, sizes) for axes in alternatives):
        known = ", ".join(f"{name} = {size}" for name, size in sizes.items())
        raise ShapeError(f"{what} is {list(shape)}, not [{' | '.join(alternatives)}] ({known})")


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, with the shapes of its arguments and of what it returns compared with its annotations."""
    stated = _stated(function)
    signature = inspect.signature(function)

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return function(*args, **kwargs)
        sizes: Sizes = {}
        given = signature.bind(*args, **kwargs).arguments
        for name, value in given.items():
            check(value, stated.get(name), sizes, f"{function.__qualname__}: {name}")
        result = function(*args, **kwargs)
        check(result, stated.get("return"), sizes, f"{function.__qualname__}: what it returns")
        return result

    return run


def _stated(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of ``function`` that state shapes."""
    found = {}
    for name, text in function.__annotations__.items():
        with suppress(NameError):  # a name for type checkers alone is no shape
            annotation = eval(text, function.__globals__) if isinstance(text, str) else text
            if shapes_in(annotation):
                found[name] = annotation
    return found


def _is_shape(annotation: Any) -> bool:
    return get_origin(annotation) is Annotated and get_args(annotation)[0] in (Tensor, np.ndarray)


def check_shapes() -> int:
    """Check every annotated function and method of ``CHECKED`` from now on; returns how many there are."""
    replaced: dict[int, Callable[..., Any]] = {}
    for module in _modules():
        owners = [module, *(one for one in vars(module).values() if isinstance(one, type))]
        for owner in owners:
            for name, one in list(vars(owner).items()):
                if inspect.isfunction(one) and one.__module__ == module.__name__ and _states_shapes(one):
                    replaced[id(one)] = checked(one)
                    setattr(owner, name, replaced[id(one)])
    for module in [one for name, one in sys.modules.items() if name.startswith("shotstream.")]:
        for name, one in list(vars(module).items()):
            if id(one) in replaced:
                setattr(module, name, replaced[id(one)])
    return len(replaced)


def _states_shapes(function: Callable[..., Any]) -> bool:
    return not hasattr(function, "__wrapped__") and bool(_stated(function))


def _modules() -> list[Any]:
    found = []
    for name in CHECKED:
        module = import_module(f"shotstream.{name}")
        found.append(module)
        if hasattr(module, "__path__"):
            found += [import_module(one.name) for one in pkgutil.iter_modules(module.__path__, f"{module.__name__}.")]
    return found
