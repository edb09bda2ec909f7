"""Damages and forgeries of a checkpoint, and what comes of them."""

import hashlib
import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

METADATA = "metadata.json"
# Hexadecimal digits of the digest at the end of a checkpoint.
_DIGEST_SIZE = 64


class Fault(NamedTuple):
    """A damaged or forged file.

    Attributes:
      name: what was done to it.
      content: the file.
    """

    name: str
    content: bytes


class Outcome(NamedTuple):
    """What came of a number of faults.

    Attributes:
      tried: number of faults.
      refused: number of those that ended in the one clear error.
      escaped: names of the others, each with what happened instead.
    """

    tried: int
    refused: int
    escaped: list[str]


def flips(content: bytes, num: int, rng: random.Random) -> Iterator[Fault]:
    """Yields files of which one bit is flipped, at random places."""
    for _ in range(num):
        position, bit = rng.randrange(len(content)), rng.randrange(8)
        damaged = bytearray(content)
        damaged[position] ^= 1 << bit
        yield Fault(f"bit {bit} of byte {position}", bytes(damaged))


def cuts(content: bytes, num: int, rng: random.Random) -> Iterator[Fault]:
    """Yields files that are cut short, or cut at the start, or extended."""
    for number in range(num):
        length = rng.randrange(1, len(content))
        if number % 3 == 0:
            yield Fault(f"the last {length} bytes", content[-length:])
        elif number % 3 == 1:
            yield Fault(f"the first {length} bytes", content[:length])
        else:
            more = rng.randbytes(1 + length % 100)
            yield Fault(f"{len(more)} bytes more", content + more)


def members_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def sealed(
    members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED
) -> bytes:
    """Returns the file of these members, with the digest that fits."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.comment = bytes(_DIGEST_SIZE)
    return digested(buffer.getvalue()[:-_DIGEST_SIZE])


def digested(body: bytes) -> bytes:
    """Returns bytes and their digest."""
    return body + hashlib.sha256(body).hexdigest().encode()


def with_metadata(content: bytes, text: str | bytes) -> bytes:
    """Returns the file with other metadata, and the digest that fits."""
    metadata = text if isinstance(text, bytes) else text.encode()
    return sealed({**members_of(content), METADATA: metadata})


def changed(content: bytes, **changes) -> bytes:
    """Returns the file with some of its metadata replaced."""
    metadata = json.loads(members_of(content)[METADATA])
    return with_metadata(content, json.dumps({**metadata, **changes}))


_PROGRESS = {"epoch": 2, "seconds": 1.0}
_ODD_PROGRESS = [
    *(None, [], {}, "x", 3, [_PROGRESS], {"epoch": 2}, {"seconds": 1.0}),
    *({**_PROGRESS, "epoch": x} for x in (-5, "x", 1.5, True, None, [], {})),
    *({**_PROGRESS, "epoch": x} for x in (float("nan"), float("inf"))),
    *({**_PROGRESS, "seconds": x} for x in ("x", -1, True, None, [], 10**400)),
    *({**_PROGRESS, "seconds": x} for x in (float("nan"), float("inf"))),
]
_DEEP = 100_000
_ODD_TEXTS = {
    "a list": "[]",
    "null": "null",
    "a string": '"x"',
    "a number": "3",
    "an empty dictionary": "{}",
    "nothing": "",
    "not JSON": "{'epoch': 2}",
    "deep lists": "[" * _DEEP + "]" * _DEEP,
    "deep dictionaries": '{"a":' * _DEEP + "1" + "}" * _DEEP,
    "a long number": '{"version": ' + "1" * 5000 + "}",
    "not UTF-8": b'{"version": "\xff\xfe"}',
    "a long string": json.dumps({"version": "x" * 10**6}),
}


def forgeries(content: bytes) -> Iterator[Fault]:
    """Yields files whose digest fits, and which hold something odd."""
    for progress in _ODD_PROGRESS:
        forged = changed(content, progress=progress)
        yield Fault(f"progress {str(progress)[:40]}", forged)
    for name, text in _ODD_TEXTS.items():
        yield Fault(f"metadata: {name}", with_metadata(content, text))
    metadata = json.loads(members_of(content)[METADATA])
    for key in metadata:
        lacking = {name: x for name, x in metadata.items() if name != key}
        text = json.dumps(lacking)
        if metadata[key] is not None:
            yield Fault(f"no {key}", with_metadata(content, text))
        deep = text[:-1] + f', "{key}": {"[" * 900}{"]" * 900}' + "}"
        yield Fault(f"{key} is deep", with_metadata(content, deep))
        for value in (3.5, "x", [], [None]):
            forged = changed(content, **{key: value})
            yield Fault(f"{key} is {value!r}", forged)
    yield from _odd_members(content)


def _odd_members(content: bytes) -> Iterator[Fault]:
    members = members_of(content)
    for name in members:
        lacking = {key: x for key, x in members.items() if key != name}
        yield Fault(f"without {name}", sealed(lacking))
        if name != METADATA:
            short = {**members, name: members[name][:-1]}
            yield Fault(f"{name} is short", sealed(short))
            longer = {**members, name: members[name] + bytes(4)}
            yield Fault(f"{name} is long", sealed(longer))
    yield Fault("a member more", sealed({**members, "more": b"x"}))
    yield Fault("another order", sealed(dict(reversed(members.items()))))
    yield Fault("no member", sealed({}))
    yield Fault("no archive", digested(b"nothing"))
    yield Fault("only a digest", digested(b""))
    bomb = {**members, "curves": bytes(10**7)}
    yield Fault("a bomb", sealed(bomb, zipfile.ZIP_DEFLATED))


def outcome_of(
    faults: Iterator[Fault],
    restore: Callable[[bytes], object],
    state: Callable[[], list[np.ndarray]],
    message: str,
) -> Outcome:
    """Restores from each file, and counts what comes of it.

    Args:
      faults: the files.
      restore: restores a trainer from a file of this content.
      state: returns all that may not change.
      message: what the error must contain, one of the parts between `|`.
    """
    before = [array.copy() for array in state()]
    tried, escaped = 0, []
    for fault in faults:
        tried += 1
        try:
            restore(fault.content)
            escaped.append(f"{fault.name}: taken")
        except ValueError as error:
            if not any(part in str(error) for part in message.split("|")):
                escaped.append(f"{fault.name}: {error}")
            elif len(str(error)) > 4000:
                escaped.append(f"{fault.name}: a message without end")
        except Exception as error:
            escaped.append(f"{fault.name}: {type(error).__name__}")
        if not all(map(_equal, before, state())):
            escaped.append(f"{fault.name}: changed the trainer")
            break
    return Outcome(tried, tried - len(escaped), escaped)


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
    return np.array_equal(first, second, equal_nan=True)


def fuzz(
    content: bytes,
    restore: Callable[[bytes], object],
    state: Callable[[], list[np.ndarray]],
    *,
    num: int,
    seed: int,
) -> dict[str, Outcome]:
    """Tries many faults of one checkpoint.

    Args:
      content: the file.
      restore: restores a trainer from a file of this content.
      state: returns all that may not change.
      num: number of flipped bits, and of cuts.
      seed: of their places.

    Returns:
      By kind of fault, what came of it. Nothing may have escaped.
    """
    damage = "is not a checkpoint of a trainer, or is damaged"
    rng = random.Random(seed)
    kinds = {
        "flipped bits": (flips(content, num, rng), damage),
        "cuts": (cuts(content, num, rng), damage),
        "forgeries": (
            forgeries(content),
            f"{damage}|of another training|has the format",
        ),
    }
    return {
        kind: outcome_of(faults, restore, state, message)
        for kind, (faults, message) in kinds.items()
    }
