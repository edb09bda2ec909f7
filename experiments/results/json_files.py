"""JSON for people and tools, from whatever settings and results are made of."""

import json
import math
import numbers
import pathlib
from typing import Any


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes a file, see `plain`."""
    text = json.dumps(plain(content), indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def plain(content: Any) -> Any:
    """Returns what JSON can hold.

    Named tuples become objects, and numbers that are not finite become null.
    What JSON does not know becomes text: results are not lost for a setting.
    """
    if hasattr(content, "_asdict"):
        content = content._asdict()
    if isinstance(content, dict):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [plain(value) for value in content]
    if content is None or isinstance(content, (str, bool, int)):
        return content
    if isinstance(content, numbers.Integral):
        return int(content)
    if isinstance(content, numbers.Real):
        return float(content) if math.isfinite(content) else None
    return str(content)
