"""A state as the admin shows it: a coloured label in a list, its words alone on a page."""

import functools
from collections.abc import Callable
from typing import Any

from unfold import decorators


class Label(tuple[str, str]):
    """The value that decides the colour, and the words. Where nothing is coloured, only the words are written."""

    __slots__ = ()

    def __str__(self) -> str:
        return self[1]


def display(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """unfold's, whose label on a page was the tuple as Python writes it."""

    def decorate(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def shown(*arguments: Any) -> Any:
            value = function(*arguments)
            return Label(value) if isinstance(value, tuple) else value

        return decorators.display(**options)(shown)

    return decorate
