"""The checks of the built pages find what they are for."""

import zlib

import pytest

from benchmarks.public_names import public_names
from docs.build import missing_names, outside_loads


@pytest.mark.parametrize("left_out", [[], ["dice_tf.scan"]])
def test_names_that_the_inventory_lacks_are_found(tmp_path, left_out) -> None:
    names = [name for name, _ in public_names() if name not in left_out]
    lines = "".join(f"{name} py:function 1 page.html#$ -\n" for name in names)
    # A page of the same name is not an entry of the reference.
    lines += "dice_tf.scan std:doc -1 page.html scan\n"
    head = b"# Sphinx inventory version 2\n# Project: x\n# Version: 1\n# zlib\n"
    path = tmp_path / "objects.inv"
    path.write_bytes(head + zlib.compress(lines.encode()))
    assert missing_names(path) == left_out


@pytest.mark.parametrize(
    ("name", "text", "is_found"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>', True),
        ("a.html", '<script async src="//cdn.example/x.js"></script>', True),
        ("a.html", '<link rel="stylesheet" href="https://a.example/x">', True),
        ("a.html", '<img alt="x" src="http://a.example/x.png">', True),
        ("a.css", "@import 'https://fonts.example/x';", True),
        ("a.css", "src: url(//fonts.example/x.woff2)", True),
        ("a.html", '<a href="https://keras.io">Keras</a>', False),
        ("a.html", '<script src="_static/x.js"></script>', False),
        ("a.html", '<link rel="stylesheet" href="_static/x.css">', False),
        ("a.css", "background: url(data:image/svg+xml;base64,x)", False),
    ],
)
def test_what_is_loaded_from_outside_is_found(
    tmp_path, name: str, text: str, is_found: bool
) -> None:
    (tmp_path / name).write_text(text)
    found = outside_loads(tmp_path)
    assert found == ([str(tmp_path / name)] if is_found else [])
