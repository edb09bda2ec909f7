"""Every name that the library declares public."""

import types
from collections.abc import Iterator
from typing import Any

import dice_tf


def public_modules(
    module: types.ModuleType = dice_tf,
) -> Iterator[types.ModuleType]:
    """Yields a module, and those among its public names, to any depth."""
    yield module
    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, types.ModuleType):
            yield from public_modules(value)


def public_names() -> Iterator[tuple[str, Any]]:
    """Yields the dotted name and the value of all that is public."""
    for module in public_modules():
        for name in module.__all__:
            yield f"{module.__name__}.{name}", getattr(module, name)
