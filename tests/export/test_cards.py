"""What a policy is, read from each of its files."""

import hashlib
import io
import json
import zipfile

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import dice_tf
from dice_tf.export import (
    Card,
    export_onnx,
    export_policy,
    export_tflite,
    read_card,
)
from dice_tf.policies.action_masks import carrying

GAME = dice_tf.games.iterated_prisoners_dilemma(3)
EXPORTS = {"": export_policy, ".tflite": export_tflite, ".onnx": export_onnx}
FIELDS = {
    "card_version",
    "policy",
    "game",
    "player_id",
    "observations",
    "actions",
    "legal_actions",
    "learner",
    "return",
    "licence",
    "notes",
    "versions",
    "weights_sha256",
}


def of_ones_own():
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(2)(inputs)
    return keras.Model(inputs, outputs, name="bidder")


CASES = {
    "ours": (
        lambda: dice_tf.policies.tabular(GAME, 1),
        Card(
            GAME,
            1,
            actions=["cooperate", "defect"],
            learner="LOLADiCE, self-play",
            mean_return=-1.06,
            return_interval=(-1.08, -1.04),
            discount=0.96,
            licence="Apache-2.0",
            notes="Größe: 1 \u2264 2",
        ),
    ),
    "of ones own": (
        of_ones_own,
        Card(
            "auction",
            player_id=2,
            observations=["budget", "price", "bidders left"],
            actions=["pass", "bid"],
        ),
    ),
    "unknown": (of_ones_own, None),
    "with memory": (
        lambda: dice_tf.policies.gru(GAME, 0, units=2),
        Card(GAME, 0),
    ),
    "masked": (
        lambda: dice_tf.policies.tabular(dice_tf.games.CommonPool(4), 0),
        Card(dice_tf.games.CommonPool(4), 0),
    ),
}


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    build, card = CASES[request.param]
    keras.utils.set_random_seed(3)
    policy, folder = build(), tmp_path_factory.mktemp("cards")
    paths = [folder / f"policy{suffix}" for suffix in EXPORTS]
    for path, export in zip(paths, EXPORTS.values(), strict=True):
        export(policy, path, card=card)
    return request.param, policy, paths


def test_every_format_holds_the_same_card(case):
    _, _, paths = case
    first, *others = (read_card(path) for path in paths)
    assert first.keys() == FIELDS
    for card in others:
        assert card == first
    text = (paths[0] / "assets/card.json").read_text(encoding="utf-8")
    assert json.loads(text) == first
    with zipfile.ZipFile(paths[1]) as archive:
        assert archive.read("card.json").decode() == text
    properties = onnx.load(paths[2]).metadata_props
    assert [entry.value for entry in properties] == [text]


def test_a_card_holds_what_the_export_saw(case):
    _, policy, paths = case
    card = read_card(paths[0])
    shape = policy.inputs[0].shape[1:]
    assert card["policy"] == policy.name
    assert card["observations"]["shape"] == [*shape]
    assert card["observations"]["dtype"] == "float32"
    loaded = tf.saved_model.load(paths[0])
    table = [x for x in loaded.signatures if x.endswith("probabilities")]
    outputs = loaded.signatures[table[0]].structured_outputs
    num_actions = outputs["probabilities"].shape[1]
    assert card["actions"]["num_actions"] == num_actions
    assert card["versions"] == {
        "dice_tf": dice_tf.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }
    hashed = hashlib.sha256()
    for weight in policy.get_weights():
        hashed.update(f"{weight.dtype}{weight.shape}".encode())
        hashed.update(weight.tobytes())
    assert card["weights_sha256"] == hashed.hexdigest()


def test_a_card_says_what_entries_of_ours_mean(case):
    kind, _, paths = case
    card = read_card(paths[0])
    if kind == "ours":
        assert card["game"]["payoffs"] == [
            [[-1, -3], [0, -2]],
            [[-1, 0], [-3, -2]],
        ]
        assert card["game"]["episode_length"] == 3
        assert card["player_id"] == 1
        assert card["observations"]["entries"] == [
            "own action 0, action 0 of player 0",
            "own action 0, action 1 of player 0",
            "own action 1, action 0 of player 0",
            "own action 1, action 1 of player 0",
            "start",
        ]
        assert card["actions"]["entries"] == ["cooperate", "defect"]
        assert card["return"] == {
            "mean": -1.06,
            "interval": [-1.08, -1.04],
            "discount": 0.96,
        }
        assert card["notes"] == "Größe: 1 \u2264 2"
    elif kind == "of ones own":
        assert card["game"]["name"] == "auction" and card["player_id"] == 2
        assert card["observations"]["entries"][1] == "price"
    elif kind == "unknown":
        assert card["game"] is None and card["learner"] is None
    elif kind == "masked":
        assert card["game"]["description"].startswith("Players harvest a comm")
        assert card["observations"]["entries"][3] == "state 3"
        assert card["legal_actions"][:5] == [
            [0],
            [0],
            [0, 1],
            [0, 1],
            [0, 1, 2],
        ]
    if kind != "masked":
        assert card["legal_actions"] is None


@pytest.mark.parametrize("player_id", range(3))
def test_entries_are_those_of_the_observation_that_follows(tmp_path, player_id):
    payoffs = np.random.default_rng(0).normal(size=[3, 2, 3, 2])
    game = dice_tf.games.iterated_matrix_game(payoffs, 3)
    policy = dice_tf.policies.tabular(game, player_id)
    export_policy(policy, tmp_path / "policy", card=Card(game, player_id))
    entries = read_card(tmp_path / "policy")["observations"]["entries"]
    joint = np.stack(np.meshgrid([0, 1], [0, 1, 2], [0, 1]), -1).reshape(-1, 3)
    state, first = game.reset((0, 1), len(joint))
    _, step = game.step(state, tuple(tf.constant(joint.T, tf.int32)), (0, 1))
    for actions, seen in zip(
        joint, step.observations[player_id].numpy(), strict=True
    ):
        expected = [f"own action {actions[player_id]}"]
        for seat in ((player_id + 1) % 3, (player_id + 2) % 3):
            expected.append(f"action {actions[seat]} of player {seat}")
        assert entries[seen.argmax()] == ", ".join(expected)
    start = first.observations[player_id][0].numpy().argmax()
    assert entries[start] == "start"


def test_a_file_with_a_card_acts(case, tmp_path):
    kind, _, paths = case
    card = read_card(paths[0])
    shape = [4, *card["observations"]["shape"]]
    seen = np.random.default_rng(0).random(shape).astype(np.float32)
    if kind == "with memory":
        assert "step" in Interpreter(str(paths[1])).get_signature_list()
        return
    loaded = tf.saved_model.load(paths[0]).signatures["probabilities"]
    expected = loaded(observation=tf.constant(seen))["probabilities"]
    runner = Interpreter(str(paths[1])).get_signature_runner("probabilities")
    found = runner(observation=seen)["probabilities"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    zipped = zipfile.ZipFile(paths[1])
    assert zipped.testzip() is None


def test_the_same_policy_gives_the_same_file(tmp_path):
    policy = dice_tf.policies.tit_for_tat(GAME, 0)
    for name in ("a.tflite", "b.tflite"):
        export_tflite(policy, tmp_path / name, card=Card(GAME, 0))
    found = [(tmp_path / f"{name}.tflite").read_bytes() for name in "ab"]
    assert found[0] == found[1]


def test_a_model_without_weights_has_no_hash(tmp_path):
    policy = dice_tf.policies.tit_for_tat(GAME, 0)
    export_policy(policy, tmp_path / "policy")
    assert read_card(tmp_path / "policy")["weights_sha256"] is not None
    again = dice_tf.policies.from_saved_model(tmp_path / "policy")
    export_policy(again, tmp_path / "again")
    assert read_card(tmp_path / "again")["weights_sha256"] is None


def test_an_image_says_that_its_legal_actions_are_computed(tmp_path):
    inputs = keras.Input((2, 2))
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(inputs))
    policy = keras.Model(inputs, outputs)

    def mask(seen):
        return tf.ones_like(tf.repeat(seen[..., 0, :1], 3, axis=-1), tf.bool)

    carrying(policy, mask)
    export_policy(policy, tmp_path / "policy")
    card = read_card(tmp_path / "policy")
    assert card["legal_actions"] == "computed from the observation"


@pytest.mark.parametrize(
    ("card", "error", "message"),
    [
        ({"game": "x"}, TypeError, r"`card` must be a dice_tf.export.Card or"),
        (
            Card(game=3),
            TypeError,
            "`card.game` must be a dice_tf.games.Game, a",
        ),
        (Card(GAME), TypeError, "`player_id` must be a whole number"),
        (Card(GAME, 2), ValueError, "`player_id` must be"),
        (Card("x", -1), ValueError, "`card.player_id` must be at least 0"),
        (
            Card(dice_tf.games.CommonPool(4), 0),
            ValueError,
            r"must name a seat that the policy fits.*CommonPool.*\[13\] and",
        ),
        (
            Card(observations="abcde"),
            TypeError,
            "`card.observations` must be a",
        ),
        (Card(observations=["a"]), ValueError, "must hold 5 entries.*ed 1"),
        (Card(actions=["a", 1]), TypeError, "`card.actions` must be a list of"),
        (Card(actions=["a"] * 3), ValueError, "`card.actions` must hold 2 ent"),
        (Card(learner=3), TypeError, "`card.learner` must be a string or None"),
        (Card(licence=3), TypeError, "`card.licence` must be a string or None"),
        (Card(notes=[]), TypeError, "`card.notes` must be a string or None"),
        (Card(mean_return="1"), TypeError, "`card.mean_return` must be a numb"),
        (Card(mean_return=np.nan), ValueError, "`card.mean_return` must be fi"),
        (Card(return_interval=3.0), TypeError, "must be two numbers or None"),
        (Card(return_interval=(2, 1)), ValueError, "numbers, the lower one fi"),
        (Card(return_interval=(2,)), ValueError, "numbers, the lower one firs"),
        (Card(discount="1"), TypeError, "`card.discount` must be a number"),
        (Card(discount=1.5), ValueError, r"`card.discount` must be .*\[0, 1\]"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, card, error, message):
    policy = dice_tf.policies.tit_for_tat(GAME, 0)
    for suffix, export in EXPORTS.items():
        with pytest.raises(error, match=message):
            export(policy, tmp_path / f"policy{suffix}", card=card)
    assert not list(tmp_path.iterdir())


def zipped(text):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("card.json", text)
    return b"TFL3" + file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.tflite", None, "where there is nothing"),
        (
            "policy.bin",
            b"",
            r"a file \*.tflite or \*.onnx. Received: path='.*n",
        ),
        ("a.tflite", b"TFL3", "holds no card"),
        ("a.tflite", zipped("{"), "is damaged"),
        ("a.tflite", zipped("[" * 100000), "is damaged"),
        ("a.tflite", zipped("[1]"), "must be of version 1"),
        ("a.tflite", zipped('{"card_version": 2}'), "must be of version 1"),
        ("a.tflite", zipped('{"card_version": 1}')[:-9], "holds no card"),
        ("a.onnx", b"nonsense", "is not an ONNX file"),
        (
            "a.onnx",
            onnx.ModelProto(ir_version=8).SerializeToString(),
            "no card",
        ),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_card(tmp_path / name)


def test_a_path_must_be_one(tmp_path):
    with pytest.raises(TypeError, match="`path` must be a string or path. Rec"):
        read_card(3)
    with pytest.raises(
        ValueError, match="holds no card. Exports of dice_tf si"
    ):
        read_card(tmp_path)
