"""Requests that warm a server up, in the form that TensorFlow Serving reads.

A server answers them before it serves a policy, so that the first request of a
client does not wait until TensorFlow has prepared its graph. They are protocol
buffers of `tensorflow_serving/apis` (`PredictionLog`), encoded here: a package
that only names four fields is not worth a dependency.
"""

import os

import tensorflow as tf

from dice_tf.policies.signatures import Signature

_FOLDER, _FILE = "assets.extra", "tf_serving_warmup_requests"

# Numbers of fields of the messages.
_PREDICT_LOG_OF_PREDICTION_LOG = 6
_REQUEST_OF_PREDICT_LOG = 1
_MODEL_SPEC_OF_REQUEST, _INPUTS_OF_REQUEST = 1, 2
_KEY_OF_INPUT, _VALUE_OF_INPUT = 1, 2
_NAME_OF_MODEL_SPEC, _SIGNATURE_OF_MODEL_SPEC = 1, 3

# A field whose length stands before it.
_LENGTH_DELIMITED = 2


def write_warm_up(
    folder: str, name: str, signatures: dict[str, Signature]
) -> None:
    """Writes a request of one row for each signature.

    Args:
      folder: of a SavedModel.
      name: of the model.
      signatures: of the SavedModel, by name.
    """
    inside = os.path.join(folder, _FOLDER)
    tf.io.gfile.makedirs(inside)
    with tf.io.TFRecordWriter(os.path.join(inside, _FILE)) as writer:
        for signature_name, signature in signatures.items():
            writer.write(_prediction_log(name, signature_name, signature))


def _prediction_log(
    model_name: str, signature_name: str, signature: Signature
) -> bytes:
    request = _field(
        _MODEL_SPEC_OF_REQUEST,
        _field(_NAME_OF_MODEL_SPEC, model_name.encode())
        + _field(_SIGNATURE_OF_MODEL_SPEC, signature_name.encode()),
    )
    for spec in signature.inputs:
        zeros = tf.zeros([size or 1 for size in spec.shape], spec.dtype)
        proto = tf.make_tensor_proto(zeros)
        request += _field(
            _INPUTS_OF_REQUEST,
            _field(_KEY_OF_INPUT, spec.name.encode())
            + _field(_VALUE_OF_INPUT, proto.SerializeToString()),
        )
    log = _field(_REQUEST_OF_PREDICT_LOG, request)
    return _field(_PREDICT_LOG_OF_PREDICTION_LOG, log)


def _field(number: int, content: bytes) -> bytes:
    """Encodes a field of a message: its number, its length and its content."""
    key = number << 3 | _LENGTH_DELIMITED
    return _varint(key) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Encodes a number in groups of 7 bits, the last ones first."""
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
