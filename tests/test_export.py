"""Exported policies: what they hold, and that they act like the live ones."""

import os
import stat
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf.export import export_policy
from dice_tf.play.actors import all_log_probs
from dice_tf.policies.sampling import sample_actions
from dice_tf.seeds import uniform
from tests import toys

tfd = tfp.distributions
GAME = dice_tf.games.iterated_prisoners_dilemma(3)
NUM_ACTIONS = {"bernoulli": 2, "categorical": 3, "sequential": 3, "head": 4}
SEEDS = ([0, 1], [7, 2**31 - 1], [-3, -(2**31)])


class Subclassed(keras.Model):
    """Knows its input only once it has been called."""

    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(4, activation="tanh")
        self.dropout = keras.layers.Dropout(0.5)
        self.logits = keras.layers.Dense(3)

    def call(self, observation, training=None):
        x = self.dropout(self.hidden(observation), training=training)
        return self.logits(x)


def tempered(outputs):
    return tfd.Categorical(logits=2.0 * outputs, name="Tempered")


def make_policy(kind):
    """A policy of observations [5], and the head that reads it."""
    keras.utils.set_random_seed(3)
    if kind == "bernoulli":
        policy = dice_tf.policies.mlp(GAME, 0, hidden_units=[4])
        return policy, dice_tf.policies.bernoulli
    inputs = keras.Input((5,))
    if kind == "categorical":
        policy = Subclassed()
        policy(np.zeros([1, 5]))
        return policy, dice_tf.policies.categorical
    if kind == "sequential":
        policy = keras.Sequential([inputs, keras.layers.Dense(3)])
        return policy, dice_tf.policies.categorical
    policy = keras.Model(inputs, keras.layers.Dense(4)(inputs))
    return dice_tf.policies.with_head(policy, tempered), tempered


@pytest.fixture(scope="module", params=list(NUM_ACTIONS))
def pair(request, tmp_path_factory):
    """The log-probabilities of a live policy, and the policy exported."""
    policy, head = make_policy(request.param)
    num_actions = NUM_ACTIONS[request.param]
    path = tmp_path_factory.mktemp("policies") / request.param
    export_policy(policy, path)

    def log_probs(observations):
        distribution = head(policy(observations, training=False))
        return all_log_probs(distribution, num_actions)

    return log_probs, tf.saved_model.load(path)


def observations_of(batch_size, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=[batch_size, 5]), tf.float32)


# What an exported policy does.


def test_signatures_are_those_that_are_pinned(pair):
    found = {
        name: (
            sorted(function.structured_input_signature[1]),
            sorted(function.structured_outputs),
        )
        for name, function in pair[1].signatures.items()
    }
    act = (["observation", "seed"], ["action", "log_prob"])
    assert found == {
        "act": act,
        "act_greedy": (["observation"], ["action"]),
        "probabilities": (["observation"], ["probabilities"]),
        "log_prob": (["action", "observation"], ["log_prob"]),
        "serving_default": act,
    }


@pytest.mark.parametrize("batch_size", [1, 6])
def test_probabilities_are_those_of_the_live_policy(pair, batch_size):
    log_probs, loaded = pair
    observations = observations_of(batch_size)
    expected = np.exp(log_probs(observations))
    for function in (loaded.probabilities, loaded.signatures["probabilities"]):
        result = function(observation=observations)["probabilities"]
        assert result.shape == expected.shape
        np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_seed_gives_the_same_actions_live_loaded_and_compiled(pair, seed):
    log_probs, loaded = pair
    observations = observations_of(200)
    noise = uniform(np.array(seed) & 0x7FFFFFFF, [200])
    expected = sample_actions(log_probs(observations), noise)
    seed = tf.constant(seed)
    for compile_it in (None, False, True):
        act = loaded.act
        if compile_it is not None:
            act = tf.function(act, jit_compile=compile_it)
        result = act(observation=observations, seed=seed)
        assert result["action"].dtype == tf.int32
        np.testing.assert_array_equal(result["action"], expected)
    other = loaded.act(observation=observations, seed=tf.constant([5, 5]))
    assert np.any(other["action"] != expected)


def test_log_probabilities_agree_with_probabilities(pair):
    _, loaded = pair
    observations = observations_of(50)
    result = loaded.act(observation=observations, seed=tf.constant([1, 2]))
    action = result["action"]
    log_prob = loaded.log_prob(observation=observations, action=action)
    np.testing.assert_allclose(result["log_prob"], log_prob["log_prob"])
    table = loaded.probabilities(observation=observations)["probabilities"]
    expected = np.take_along_axis(table.numpy(), action[:, None].numpy(), 1)
    np.testing.assert_allclose(np.exp(result["log_prob"]), expected[:, 0], 1e-5)


def test_an_action_that_does_not_exist_has_no_log_probability(pair):
    _, loaded = pair
    result = loaded.log_prob(
        observation=observations_of(2), action=tf.constant([-1, 4])
    )
    np.testing.assert_array_equal(result["log_prob"], [np.nan, np.nan])


def test_the_greedy_action_is_the_most_probable(pair):
    log_probs, loaded = pair
    observations = observations_of(50)
    greedy = loaded.act_greedy(observation=observations)["action"]
    assert greedy.dtype == tf.int32
    np.testing.assert_array_equal(
        greedy, np.argmax(log_probs(observations), axis=1)
    )


def test_over_many_seeds_actions_come_as_often_as_they_should(pair):
    _, loaded = pair
    observation = observations_of(1, seed=4)
    observations = tf.repeat(observation, 3, axis=0)
    num_seeds = 1000
    actions = [
        loaded.act(observation=observations, seed=tf.constant([0, seed]))
        for seed in range(num_seeds)
    ]
    actions = np.array([result["action"] for result in actions])
    probabilities = loaded.probabilities(observation=observation)
    for action, p in enumerate(probabilities["probabilities"][0].numpy()):
        frequency = np.mean(actions == action)
        standard_error = np.sqrt(p * (1 - p) / actions.size)
        assert abs(frequency - p) < 4 * standard_error
        # Within a batch, two draws of one seed are independent.
        both = np.mean((actions[:, 0] == action) & (actions[:, 1] == action))
        spread = np.sqrt(p**2 * (1 - p**2) / num_seeds)
        assert abs(both - p**2) < 4 * spread


ACT_WITHOUT_OUR_CODE = """
    import sys

    class Blocked:
        def find_spec(self, name, path=None, target=None):
            blocked = ("dice_tf", "tensorflow_probability", "tf_keras")
            if name.split(".")[0] in blocked:
                raise ImportError(name)

    sys.meta_path.insert(0, Blocked())
    import numpy as np
    import tensorflow as tf

    loaded = tf.saved_model.load(sys.argv[1])
    observations = tf.constant(np.load(sys.argv[2]))
    result = loaded.act(observation=observations, seed=tf.constant([3, 4]))
    np.save(sys.argv[3], result["action"])
    assert "dice_tf" not in sys.modules
"""


def test_a_policy_acts_where_our_packages_cannot_be_imported(tmp_path):
    policy, _ = make_policy("categorical")
    export_policy(policy, tmp_path / "policy")
    observations = observations_of(30)
    files = [tmp_path / name for name in ("policy", "in.npy", "out.npy")]
    np.save(files[1], observations)
    program = textwrap.dedent(ACT_WITHOUT_OUR_CODE)
    process = subprocess.run(
        [sys.executable, "-c", program, *map(str, files)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    loaded = tf.saved_model.load(files[0])
    expected = loaded.act(observation=observations, seed=tf.constant([3, 4]))
    np.testing.assert_array_equal(np.load(files[2]), expected["action"])


# Policies of other kinds.


def test_actions_that_are_no_finite_set_are_sampled_by_the_head(tmp_path):
    policy = toys.normal_policy()
    export_policy(policy, tmp_path / "policy")
    loaded = tf.saved_model.load(tmp_path / "policy")
    assert "probabilities" not in loaded.signatures
    observations = tf.constant([[0.3, -0.8]] * 4000, tf.float64)
    seed = tf.constant([0, 1])
    result = loaded.act(observation=observations, seed=seed)
    action = result["action"].numpy()
    distribution = toys.normal_head(policy(observations))
    np.testing.assert_array_equal(action, distribution.sample(seed=seed))
    mean, scale = distribution.loc[0].numpy(), distribution.scale[0].numpy()
    assert abs(np.mean(action) - mean) < 4 * scale / np.sqrt(4000)
    log_prob = loaded.log_prob(observation=observations, action=action)
    expected = -0.5 * ((action - mean) / scale) ** 2
    expected -= np.log(scale) + 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(log_prob["log_prob"], expected)
    np.testing.assert_allclose(result["log_prob"], expected)
    greedy = loaded.act_greedy(observation=observations)["action"]
    np.testing.assert_allclose(greedy, np.full(4000, mean))


def test_vectors_of_actions_keep_their_shape(tmp_path):
    def head(outputs):
        return tfd.Independent(tfd.Normal(outputs, 0.5), 1)

    policy, _ = make_policy("sequential")
    policy = dice_tf.policies.with_head(policy, head)
    export_policy(policy, tmp_path / "policy")
    loaded = tf.saved_model.load(tmp_path / "policy")
    result = loaded.act(
        observation=observations_of(2), seed=tf.constant([0, 1])
    )
    assert result["action"].shape == (2, 3)
    assert result["log_prob"].shape == (2,)


def test_a_model_that_was_never_called_takes_the_shape_it_is_given(tmp_path):
    policy = Subclassed()
    export_policy(policy, tmp_path / "policy", observation_shape=(5,))
    loaded = tf.saved_model.load(tmp_path / "policy")
    observations = observations_of(2)
    np.testing.assert_allclose(
        loaded.probabilities(observation=observations)["probabilities"],
        tf.nn.softmax(policy(observations)),
        atol=1e-6,
    )


def test_one_output_may_also_be_the_only_action(tmp_path):
    policy = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    export_policy(policy, tmp_path / "policy", num_actions=1)
    loaded = tf.saved_model.load(tmp_path / "policy")
    observations = observations_of(3)
    table = loaded.probabilities(observation=observations)["probabilities"]
    np.testing.assert_array_equal(table, np.ones([3, 1]))
    result = loaded.act(observation=observations, seed=tf.constant([0, 1]))
    np.testing.assert_array_equal(result["action"], [0, 0, 0])


def test_free_axes_of_an_observation_stay_free(tmp_path):
    inputs = keras.Input((None, 5))
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Dense(4)(inputs))
    policy = keras.Model(inputs, keras.layers.Dense(2)(x))
    export_policy(policy, tmp_path / "policy")
    loaded = tf.saved_model.load(tmp_path / "policy")
    for length in (2, 3):
        table = loaded.probabilities(observation=tf.ones([1, length, 5]))
        np.testing.assert_allclose(np.sum(table["probabilities"]), 1.0, 1e-5)


@pytest.mark.parametrize(
    ("dtype", "result_dtype"),
    [("float16", tf.float32), ("float64", tf.float64)],
)
def test_precision_follows_the_policy(tmp_path, dtype, result_dtype):
    inputs = keras.Input((5,), dtype=dtype)
    policy = keras.Model(inputs, keras.layers.Dense(2, dtype=dtype)(inputs))
    export_policy(policy, tmp_path / "policy")
    loaded = tf.saved_model.load(tmp_path / "policy")
    observations = tf.cast(observations_of(100), dtype)
    result = loaded.act(observation=observations, seed=tf.constant([0, 1]))
    assert result["log_prob"].dtype == result_dtype
    assert set(result["action"].numpy()) == {0, 1}


# The folder.


@pytest.fixture
def policy():
    return dice_tf.policies.tit_for_tat(GAME, 0)


def test_an_earlier_export_is_replaced_only_on_demand(tmp_path, policy):
    path = tmp_path / "deep" / "policy"
    export_policy(dice_tf.policies.always_defect(GAME, 0), str(path))
    with pytest.raises(ValueError, match="`path` must be new or empty.*policy"):
        export_policy(policy, path)
    export_policy(policy, path, overwrite=True)
    loaded = tf.saved_model.load(path)
    greedy = loaded.act_greedy(observation=tf.eye(5))["action"]
    np.testing.assert_array_equal(greedy, [0, 1, 0, 1, 0])
    assert os.listdir(tmp_path / "deep") == ["policy"]


def test_an_empty_folder_is_no_obstacle(tmp_path, policy):
    export_policy(policy, tmp_path)
    assert tf.saved_model.contains_saved_model(tmp_path)


def test_other_users_may_read_an_export_as_they_may_any_folder(
    tmp_path, policy
):
    export_policy(policy, tmp_path / "policy")
    os.mkdir(tmp_path / "any")
    modes = [
        stat.S_IMODE(os.stat(tmp_path / name).st_mode)
        for name in ("policy", "any")
    ]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_interrupted_export_leaves_what_was_there(
    tmp_path, policy, monkeypatch, overwrite
):
    path = tmp_path / "policy"
    if overwrite:
        export_policy(policy, path)

    def interrupt(trackable, folder, **kwargs):
        os.makedirs(folder)
        with open(os.path.join(folder, "saved_model.pb"), "w"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tf.saved_model, "save", interrupt)
        with pytest.raises(KeyboardInterrupt):
            export_policy(policy, path, overwrite=overwrite)
    assert os.listdir(tmp_path) == (["policy"] if overwrite else [])
    if overwrite:
        assert "act" in tf.saved_model.load(path).signatures


def test_an_export_that_cannot_be_moved_leaves_the_earlier_one(
    tmp_path, policy, monkeypatch
):
    path = tmp_path / "policy"
    export_policy(policy, path)
    replace = os.replace

    def refuse(source, target):
        if os.path.basename(source) == "written":
            raise OSError("disk is gone")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk is gone"):
        export_policy(policy, path, overwrite=True)
    assert os.listdir(tmp_path) == ["policy"]
    assert "act" in tf.saved_model.load(path).signatures


def test_only_a_saved_model_is_overwritten(tmp_path, policy):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ValueError, match="replaces only a SavedModel, but"):
        export_policy(policy, tmp_path, overwrite=True)
    with pytest.raises(ValueError, match="thesis.tex', which is a file"):
        export_policy(policy, tmp_path / "thesis.tex", overwrite=True)
    assert os.listdir(tmp_path) == ["thesis.tex"]


# Bad input.


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        (3, TypeError, r"`path` must be a string or path.*3 \(of type int\)"),
        ("", ValueError, "`path` must be a folder. Received: path=''"),
        ("no://bucket/x", ValueError, "TensorFlow knows.*path='no://bucket/x'"),
    ],
)
def test_paths_are_checked(policy, path, error, message):
    with pytest.raises(error, match=message):
        export_policy(policy, path)


def uncertain(outputs):
    return tfd.Normal(outputs, 1.0)


def modeless(outputs):
    return tfd.Independent(
        tfd.Mixture(
            tfd.Categorical(logits=outputs),
            [tfd.Normal(outputs[..., i], 1.0) for i in range(3)],
            name="Blend",
        ),
        0,
        name="Blend",
    )


@pytest.mark.parametrize(
    ("head", "options", "error", "message"),
    [
        (None, {"num_actions": 0}, ValueError, "`num_actions` must be at leas"),
        (None, {"num_actions": 2.5}, TypeError, "`num_actions` must be a whol"),
        (None, {"num_actions": 4}, ValueError, "3 outputs, but.*has 4 actions"),
        (None, {"num_actions": None}, ValueError, "without a finite set of ac"),
        (None, {"observation_shape": 5}, TypeError, "`observation_shape` must"),
        (None, {"observation_shape": (4,)}, ValueError, "take observations of"),
        (lambda x: x, {}, TypeError, "head must return a tfp distribution"),
        (
            uncertain,
            {},
            ValueError,
            r"of batch shape \[B\].*\(2, 3\) for B = 2",
        ),
        (modeless, {}, ValueError, "'Blend' has no mode, which `act_greedy`"),
        (tempered, {"num_actions": 2}, ValueError, "sum to .* instead of 1"),
        (tempered, {"num_actions": 4}, ValueError, "not fit the policy's dist"),
        (
            lambda x: tfd.Poisson(tf.exp(x[..., 0])),
            {"num_actions": 3},
            ValueError,
            r"`num_actions` \(3\) does not fit",
        ),
        (
            lambda x: tfd.OneHotCategorical(x, name="Hot"),
            {},
            ValueError,
            "`num_actions` must be given.*inferred.*'Hot'",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, head, options, error, message):
    policy, _ = make_policy("sequential")
    if head is not None:
        policy = dice_tf.policies.with_head(policy, head)
    with pytest.raises(error, match=message):
        export_policy(policy, tmp_path / "policy", **options)
    assert os.listdir(tmp_path) == []


def test_a_policy_must_be_a_model(tmp_path):
    with pytest.raises(
        TypeError, match="`policy` must be a keras.Model.*<func"
    ):
        export_policy(tempered, tmp_path / "policy")


def test_a_model_that_does_not_know_its_input_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`observation_shape` must be given"):
        export_policy(Subclassed(), tmp_path / "policy")


def test_a_policy_of_nan_is_refused(tmp_path):
    policy, _ = make_policy("sequential")
    policy.set_weights([w * np.nan for w in policy.get_weights()])
    with pytest.raises(ValueError, match="must give finite probabilities"):
        export_policy(policy, tmp_path / "policy")
