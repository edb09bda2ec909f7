"""TensorFlow Serving's REST predict call, on a loaded SavedModel.

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
