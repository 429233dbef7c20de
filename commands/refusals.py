"""How a command says no: exit code 1 and one line that says why."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from errors import CofferError

P = ParamSpec("P")
T = TypeVar("T")


def one_line_refusals(command: Callable[P, T]) -> Callable[P, T]:
    """Turn an expected error into one line on stderr and exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except CofferError as error:
            raise click.ClickException(" ".join(str(error).split())) from None

    return run
