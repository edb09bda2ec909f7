"""Builds the documentation: `python -m docs.build`.

Needs the extra `docs`, and no network. Pages are written to
`docs/_build/html`; open `index.html` there. Warnings are errors, references
without a target among them. Tutorials run the first time, and again when they
change: `--fresh` runs all of them.
"""

import argparse
import pathlib
import re
import shutil
import sys
import zlib

from benchmarks.public_names import public_names

FOLDER = pathlib.Path(__file__).resolve().parent
BUILT = FOLDER / "_build"
PAGES = BUILT / "html"

# What makes a browser load something when it shows a page. Links that a
# reader follows are not among it.
_LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio)\b[^>]*?\bsrc=\"(https?:)?//"
    r"|<link\b(?![^>]*rel=\"(?:canonical|license)\")[^>]*?"
    r"\bhref=\"(https?:)?//",
)
_LOADED_BY_STYLE = re.compile(r"(?:@import|url\()\s*['\"]?(?:https?:)?//")


def missing_names(inventory: pathlib.Path) -> list[str]:
    """Returns the public names that the object inventory does not hold."""
    # Four lines that say what the file is, then compressed ones, of which
    # each begins with a name.
    compressed = inventory.read_bytes().split(b"\n", 4)[4]
    lines = zlib.decompress(compressed).decode().splitlines()
    held = {line.split(" ", 1)[0] for line in lines if " py:" in line}
    return sorted({name for name, _ in public_names()} - held)


def outside_loads(folder: pathlib.Path) -> list[str]:
    """Returns the files whose display loads something from outside."""
    pages = [
        path
        for path in folder.rglob("*.html")
        if _LOADED.search(path.read_text(encoding="utf-8"))
    ]
    styles = [
        path
        for path in folder.rglob("*.css")
        if _LOADED_BY_STYLE.search(path.read_text(encoding="utf-8"))
    ]
    return sorted(map(str, pages + styles))


def main(arguments: list[str] | None = None) -> int:
    """Builds all pages, checks them, and returns the exit status."""
    # The checks below need no Sphinx, and are tested without it.
    from sphinx.cmd.build import build_main

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--fresh", action="store_true", help="build all, run all tutorials"
    )
    if parser.parse_args(arguments).fresh:
        shutil.rmtree(BUILT, ignore_errors=True)
    status = build_main(
        ["-W", "-n", "--keep-going", "-b", "html", str(FOLDER), str(PAGES)]
    )
    if status:
        return status
    for name in missing_names(PAGES / "objects.inv"):
        print(f"{name} is not in the reference.", file=sys.stderr)
        status = 1
    for path in outside_loads(PAGES):
        print(f"{path} loads something from outside.", file=sys.stderr)
        status = 1
    if not status:
        print(f"Open {PAGES / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
