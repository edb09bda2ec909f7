"""Kills, as far as the code that is killed can tell."""

from typing import Any


class Killed(BaseException):
    """Ends the process, and nobody catches it."""


def kill_at(monkeypatch: Any, owner: Any, name: str, call: int) -> None:
    """Makes a function raise at its n-th call, before it does anything."""
    function, calls = getattr(owner, name), []

    def killed(*arguments: Any, **options: Any) -> Any:
        calls.append(None)
        if len(calls) == call:
            raise Killed
        return function(*arguments, **options)

    monkeypatch.setattr(owner, name, killed)


def calls_of(monkeypatch: Any, owner: Any, name: str) -> list[None]:
    """Returns a list that grows with each call of a function."""
    function, calls = getattr(owner, name), []

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(None)
        return function(*arguments, **options)

    monkeypatch.setattr(owner, name, counted)
    return calls
