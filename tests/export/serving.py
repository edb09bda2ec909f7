"""TensorFlow Serving's predict calls, on a loaded SavedModel.

No package provides the server, so what its documentation says of requests and
answers is written down here: https://www.tensorflow.org/tfx/serving/api_rest.
"""

import json
from typing import Any

import numpy as np
import tensorflow as tf


def predict(loaded: Any, body: str) -> str:
    """Answers the JSON body of `POST /v1/models/NAME:predict`."""
    try:
        return json.dumps(_answer(loaded, json.loads(body)))
    except (ValueError, tf.errors.OpError) as error:
        return json.dumps({"error": str(error)})


def _answer(loaded: Any, request: dict) -> dict:
    name = request.get("signature_name", "serving_default")
    if name not in loaded.signatures:
        raise ValueError(f'Serving signature name: "{name}" not found')
    if ("instances" in request) == ("inputs" in request):
        raise ValueError('Request needs one of "instances" and "inputs"')
    function = loaded.signatures[name]
    specs = function.structured_input_signature[1]
    by_row = "instances" in request
    columns = _columns(request["instances"]) if by_row else request["inputs"]
    # A single input needs no name.
    if not isinstance(columns, dict):
        if len(specs) != 1:
            raise ValueError(f"Expected inputs named {sorted(specs)}")
        columns = {next(iter(specs)): columns}
    if columns.keys() != specs.keys():
        raise ValueError(f"Expected inputs {sorted(specs)}: {sorted(columns)}")
    tensors = {
        key: tf.constant(columns[key], spec.dtype)
        for key, spec in specs.items()
    }
    if by_row and len({tensor.shape[0] for tensor in tensors.values()}) > 1:
        raise ValueError("Instances must share their first dimension")
    outputs = {
        key: tensor.numpy().tolist()
        for key, tensor in function(**tensors).items()
    }
    if not by_row:
        single = len(outputs) == 1
        return {"outputs": next(iter(outputs.values())) if single else outputs}
    return {"predictions": _rows(outputs)}


def _columns(instances: list) -> Any:
    """Turns a list of instances into one list per named input."""
    if not isinstance(instances[0], dict):
        return instances
    return {key: [row[key] for row in instances] for key in instances[0]}


def _rows(outputs: dict[str, list]) -> list:
    if len({np.shape(column)[0] for column in outputs.values()}) != 1:
        raise ValueError("Outputs must share their first dimension")
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    rows = zip(*outputs.values(), strict=True)
    return [dict(zip(outputs, row, strict=True)) for row in rows]


class Server:
    """Records requests, and executes them as a server with or without batching.

    With batching (`--enable_batching`) the rows of requests are merged by a
    concatenation of each input, so that TensorFlow Serving's
    `BatchingSession` refuses inputs without a first dimension, and requests
    whose inputs differ in it; so it does outputs that it cannot split again.

    Args:
      loaded: a loaded SavedModel.
      is_batching: whether requests of one signature are merged.

    Attributes:
      executed: the names of the signatures that ran, one for each execution.
    """

    def __init__(self, loaded: Any, is_batching: bool):
        self._loaded = loaded
        self._is_batching = is_batching
        self._requests: list[tuple[str, dict[str, np.ndarray]]] = []
        self.executed: list[str] = []

    def post(self, name: str, inputs: dict[str, np.ndarray]) -> None:
        """Records a request."""
        if self._is_batching:
            shapes = {key: np.shape(value) for key, value in inputs.items()}
            if () in shapes.values():
                raise ValueError(
                    "Batching input tensors must have at least one dimension: "
                    f"{shapes}"
                )
            if len({shape[0] for shape in shapes.values()}) != 1:
                raise ValueError(
                    "Batching input tensors supplied in a given request must "
                    f"have equal 0th-dimension size: {shapes}"
                )
        self._requests.append((name, inputs))

    def answers(self) -> list[dict[str, np.ndarray]]:
        """Returns what each recorded request gets, and forgets them."""
        requests, self._requests = self._requests, []
        if not self._is_batching:
            return [self._execute(*request) for request in requests]
        answers = {}
        for name in dict.fromkeys(name for name, _ in requests):
            found = [
                i for i, request in enumerate(requests) if request[0] == name
            ]
            batches = [requests[i][1] for i in found]
            merged = {
                key: np.concatenate([batch[key] for batch in batches])
                for key in batches[0]
            }
            sizes = [len(next(iter(batch.values()))) for batch in batches]
            outputs = self._execute(name, merged)
            if {len(value) for value in outputs.values()} != {sum(sizes)}:
                raise ValueError(
                    "Batched output tensor's 0th dimension does not equal the "
                    "sum of the 0th dimension sizes of the input tensors"
                )
            cuts = np.cumsum(sizes)[:-1]
            parts = {key: np.split(x, cuts) for key, x in outputs.items()}
            for position, i in enumerate(found):
                answers[i] = {key: x[position] for key, x in parts.items()}
        return [answers[i] for i in range(len(requests))]

    def _execute(
        self, name: str, inputs: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        self.executed.append(name)
        function = self._loaded.signatures[name]
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        return {key: x.numpy() for key, x in function(**tensors).items()}
