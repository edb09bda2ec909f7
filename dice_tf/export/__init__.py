"""Export: policies as files that act without `dice_tf`.

A SavedModel for TensorFlow and TensorFlow Serving, a TFLite file for small
devices, an ONNX file for other runtimes.
"""

from dice_tf.export.cards import Card, read_card
from dice_tf.export.onnx_file import export_onnx
from dice_tf.export.saved_model import export_policy
from dice_tf.export.tflite_file import export_tflite

__all__ = [
    "Card",
    "export_onnx",
    "export_policy",
    "export_tflite",
    "read_card",
]
