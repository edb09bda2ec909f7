"""Values that hardly any argument takes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

# By name. Each use makes the value anew: a generator can be read but once.
BAD_VALUES: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "empty text": lambda: "",
    "text": lambda: "x",
    "bytes": lambda: b"x",
    "-1": lambda: -1,
    "0": lambda: 0,
    "10**9": lambda: 10**9,
    "10**20": lambda: 10**20,
    "True": lambda: True,
    "1.5": lambda: 1.5,
    "-1e30": lambda: -1e30,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "complex number": lambda: 1.0 + 2.0j,
    "empty list": lambda: [],
    "empty tuple": lambda: (),
    "empty dictionary": lambda: {},
    "list of None": lambda: [None, None],
    "ragged list": lambda: [[1.0], [1.0, 2.0]],
    "set": lambda: {1, 2},
    "generator": lambda: (number for number in range(2)),
    "array of texts": lambda: np.array(["a", "b"]),
    "float16 array": lambda: np.ones([3], np.float16),
    "tensor of rank 5": lambda: tf.zeros([2, 1, 2, 1, 2]),
    "object": object,
    "function": lambda: lambda: None,
    "class": lambda: dict,
}
