"""The requests that warm a server up are what TensorFlow Serving reads."""

import pytest
import tensorflow as tf

import dice_tf
from tests import toys
from tests.export.serving import Server

prediction_log_pb2 = pytest.importorskip(
    "tensorflow_serving.apis.prediction_log_pb2",
    reason="needs tensorflow-serving-api",
)
GAME = dice_tf.games.iterated_prisoners_dilemma(3)
KINDS = {
    "tabular": lambda: dice_tf.policies.tabular(GAME, 0),
    "wide": lambda: dice_tf.policies.tabular(dice_tf.games.CommonPool(4), 0),
    "gru": lambda: dice_tf.policies.gru(GAME, 0, units=40),
    "numbers": toys.normal_policy,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_batching", [False, True])
def test_each_signature_has_a_request_that_gets_an_answer(
    tmp_path, kind, is_batching
):
    policy = KINDS[kind]()
    dice_tf.export.export_policy(policy, tmp_path / "policy")
    loaded = tf.saved_model.load(tmp_path / "policy")
    server, names = Server(loaded, is_batching), []
    path = tmp_path / "policy/assets.extra/tf_serving_warmup_requests"
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert request.model_spec.name == policy.name
        name = request.model_spec.signature_name
        inputs = {
            key: tf.make_ndarray(proto) for key, proto in request.inputs.items()
        }
        specs = loaded.signatures[name].structured_input_signature[1]
        assert inputs.keys() == specs.keys()
        for key, value in inputs.items():
            assert specs[key].dtype == value.dtype
            assert specs[key].shape.is_compatible_with(value.shape)
        names.append(name)
        server.post(name, inputs)
    assert {*names} == {*loaded.signatures} - {"serving_default"}
    for answer in server.answers():
        assert all(len(value) == 1 for value in answer.values())
