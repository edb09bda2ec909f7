"""Acts with an exported policy where only TensorFlow is installed.

  python -m benchmarks.fresh_environment

Trains a policy for a moment, exports it, makes a new virtual environment in a
temporary folder, installs `tensorflow` there and nothing else (about a minute
and 2 GB), and compares what the policy does there with the live one: its
probabilities must agree to 1e-6, and with one seed it must act alike. Ends
with an error otherwise.
"""

import pathlib
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import dice_tf

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "requirement", f"tensorflow=={tf.__version__}", "What pip is to install."
)
flags.DEFINE_float("required", 1e-6, "The largest difference that passes.")

# Runs there. Whatever of ours it can import would be a fault of this script.
ACTOR = """
import importlib.util
import sys

import numpy as np
import tensorflow as tf

for name in ("dice_tf", "tensorflow_probability", "tf_keras"):
    assert importlib.util.find_spec(name) is None, name
policy = tf.saved_model.load("policy")
observations = tf.constant(np.load("observations.npy"))
seed = tf.constant([3, 4])
np.savez(
    "found.npz",
    greedy=policy.act_greedy(observation=observations)["action"],
    **policy.probabilities(observation=observations),
    **policy.act(observation=observations, seed=seed),
)
print("Acted with TensorFlow", tf.__version__, "on Python", sys.version[:6])
"""


def trained_policy() -> keras.Model:
    game = dice_tf.games.iterated_prisoners_dilemma()
    policies = [dice_tf.policies.mlp(game, seat) for seat in range(2)]
    objective = dice_tf.objectives.DiCEObjective(game, policies)
    learner = dice_tf.learners.Naive()
    trainer = dice_tf.Trainer(objective, [learner, learner])
    trainer.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    trainer.fit(epochs=1, steps_per_epoch=5, verbose=0)
    return policies[0]


def act_elsewhere(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns what the policy in a folder does in a new environment."""
    print(f"Installing {FLAGS.requirement} ...", flush=True)
    venv.create(folder / "venv", with_pip=True)
    python = str(folder / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", FLAGS.requirement]
    subprocess.run(pip, check=True)
    # Alone in its folder, and without this environment's variables.
    subprocess.run([python, "-I", "-c", ACTOR], cwd=folder, check=True, env={})
    with np.load(folder / "found.npz") as found:
        return dict(found)


def main(argv: Sequence[str]) -> None:
    del argv
    policy = trained_policy()
    observations = np.random.default_rng(0).normal(size=[1000, 5])
    observations = observations.astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        dice_tf.export.export_policy(policy, folder / "policy")
        np.save(folder / "observations.npy", observations)
        found = act_elsewhere(folder)
        exported = tf.saved_model.load(folder / "policy")
        seed = tf.constant([3, 4])
        here = exported.act(observation=observations, seed=seed)
    cooperates = tf.sigmoid(policy(observations))
    live = np.concatenate([cooperates, 1.0 - cooperates], axis=1)
    difference = float(np.abs(found["probabilities"] - live).max())
    acts_alike = np.array_equal(found["action"], here["action"])
    is_greedy = np.array_equal(found["greedy"], np.argmax(live, axis=1))
    print(f"Largest difference of probabilities: {difference:.1e}")
    print(f"Same actions for one seed: {acts_alike}; greedy: {is_greedy}")
    if difference > FLAGS.required or not (acts_alike and is_greedy):
        sys.exit(1)


if __name__ == "__main__":
    app.run(main)
