"""Exported policies behind TensorFlow Serving's REST protocol."""

import json

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from tests.export.serving import Server, predict

GAME = dice_tf.games.iterated_prisoners_dilemma(3)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The live policy's probabilities of each observation; it loaded."""
    policy = dice_tf.policies.mlp(GAME, 0, hidden_units=[4])
    path = tmp_path_factory.mktemp("policies") / "policy" / "1"
    dice_tf.export.export_policy(policy, path)
    cooperates = tf.sigmoid(policy(np.eye(5)))
    table = np.concatenate([cooperates, 1 - cooperates], axis=1)
    return table, tf.saved_model.load(path)


def post(loaded, **request):
    return json.loads(predict(loaded, json.dumps(request)))


ROWS = np.eye(5).tolist()


def test_rows_of_one_input_give_rows_of_one_output(pair):
    table, loaded = pair
    named = [{"observation": row} for row in ROWS]
    for instances in (ROWS, named):
        answer = post(
            loaded, signature_name="probabilities", instances=instances
        )
        np.testing.assert_allclose(answer["predictions"], table, atol=1e-6)


def test_rows_of_two_inputs_have_their_names(pair):
    table, loaded = pair
    instances = [{"observation": row, "action": 1} for row in ROWS[:3]]
    answer = post(loaded, signature_name="log_prob", instances=instances)
    np.testing.assert_allclose(
        np.exp(answer["predictions"]), table[:3, 1], atol=1e-6
    )


def test_columns_give_columns(pair):
    table, loaded = pair
    for inputs in (ROWS[:2], {"observation": ROWS[:2]}):
        answer = post(loaded, signature_name="act_greedy", inputs=inputs)
        assert answer["outputs"] == np.argmax(table[:2], axis=1).tolist()


def test_acting_is_the_default_and_takes_columns_and_rows(pair):
    table, loaded = pair
    inputs = {"observation": ROWS, "seed": [[3, i] for i in range(5)]}
    answer = post(loaded, inputs=inputs)["outputs"]
    assert (
        answer == post(loaded, signature_name="act", inputs=inputs)["outputs"]
    )
    chosen = table[np.arange(5), answer["action"]]
    np.testing.assert_allclose(np.exp(answer["log_prob"]), chosen, atol=1e-6)
    pairs = zip(*inputs.values(), strict=True)
    instances = [dict(zip(inputs, row, strict=True)) for row in pairs]
    rows = post(loaded, instances=instances)["predictions"]
    assert [row["action"] for row in rows] == answer["action"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"signature_name": "probabilities", "instances": [[1.0] * 4]},
            "Shape of tensor observation [1,4] is not compatible with expected "
            "shape [?,5]",
        ),
        (
            {"signature_name": "act_greedy", "inputs": [1.0] * 5},
            "Shape of tensor observation [5] is not compatible",
        ),
        ({"signature_name": "step", "inputs": ROWS}, '"step" not found'),
        ({"inputs": ROWS}, "Expected inputs named ['observation', 'seed']"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(pair, request_, message):
    assert message in post(pair[1], **request_)["error"]


@pytest.mark.parametrize("name", ["act_greedy", "probabilities"])
def test_a_wrong_shape_is_refused_by_name_where_it_is_loaded(pair, name):
    function = getattr(pair[1], name)
    with pytest.raises(TypeError, match=r"\(1, 4\).*'observation'.*\(None, 5"):
        function(observation=tf.ones([1, 4]))


def test_a_wrong_shape_is_told_both_forms_of_acting(pair):
    message = r"(?s)\(1, 4\).*\(None, 5\).*\(None, 2\).*\(None, 5\).*\(2,\)"
    with pytest.raises(ValueError, match=message):
        pair[1].act(observation=tf.ones([1, 4]), seed=tf.constant([0, 1]))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"observation": ROWS, "seed": [3, 4]}, "equal 0th-dimension size"),
        ({"batch_size": 3}, "must have at least one dimension"),
    ],
)
def test_a_server_that_batches_refuses_what_it_cannot_merge(
    pair, inputs, message
):
    arrays = {key: np.array(value) for key, value in inputs.items()}
    Server(pair[1], is_batching=False).post("act", arrays)
    with pytest.raises(ValueError, match=message):
        Server(pair[1], is_batching=True).post("act", arrays)
