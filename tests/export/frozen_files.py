"""Files of one version of dice_tf, and the answers that it gave from them.

They are kept in `fixtures/`, one folder for each version, so that later
versions are tested on what earlier ones wrote. The folder of this version was
made, from the root of the repository, by

    python -m tests.export.frozen_files tests/export/fixtures/VERSION

and is not made again.
"""

import json
import pathlib
import shutil
import sys

import keras
import numpy as np
import tensorflow as tf

import dice_tf

GAME = dice_tf.games.iterated_prisoners_dilemma(3)
SEEDS = np.array([[3, 4], [0, 1], [2**31 - 1, 7], [5, 6], [8, 9]], np.int32)
NUM_STEPS = 4
CHECKPOINT = "training.checkpoint"
ANSWERS = "answers.json"


def policies() -> dict[str, keras.Model]:
    """Returns a policy without memory and one with memory, by name."""
    keras.utils.set_random_seed(1)
    return {
        "tabular": dice_tf.policies.tabular(GAME, 0),
        "min_gru": dice_tf.policies.min_gru(GAME, 0, units=3),
    }


def trainer() -> dice_tf.Trainer:
    """Returns a compiled trainer of tables with critics, in two runs."""
    pair = [dice_tf.policies.tabular(GAME, i) for i in range(2)]
    critics = [dice_tf.critics.tabular_critic(GAME, i) for i in range(2)]
    objective = dice_tf.objectives.DiCEObjective(
        GAME,
        pair,
        discount=0.9,
        batch_size=4,
        baseline="critic",
        critics=critics,
    )
    learner = dice_tf.learners.LOLADiCE(1, inner_learning_rate=0.3)
    made = dice_tf.Trainer(
        objective, learners=[learner, learner], seed=5, num_seeds=2
    )
    made.compile(keras.optimizers.Adam(0.1))
    return made


def answers_of_act(act) -> dict[str, list]:
    """Returns what a signature `act` answers to each observation."""
    found = act(observation=tf.eye(5), seed=tf.constant(SEEDS))
    return {name: value.numpy().tolist() for name, value in found.items()}


def answers_of_steps(signatures) -> dict[str, list]:
    """Returns what a policy with memory does in the steps of an episode."""
    rows = tf.zeros([5], tf.int32)
    state = signatures["initial_state"](batch_size=rows)["state"]
    found = {"action": [], "log_prob": []}
    for step in range(NUM_STEPS):
        answer = signatures["step"](
            observation=tf.roll(tf.eye(5), step, axis=0),
            state=state,
            seed=tf.constant(SEEDS) // (step + 1),
        )
        state = answer["state"]
        for name, values in found.items():
            values.append(answer[name].numpy().tolist())
    return found


def answers_of_model(policy: keras.Model) -> list:
    """Returns the logits of a model, with memory those of the first step."""
    shapes = [[5, *x.shape[1:]] for x in policy.inputs[1:]]
    inputs = [tf.eye(5), *(tf.zeros(shape) for shape in shapes)]
    outputs = policy(inputs if shapes else inputs[0])
    return np.asarray(tf.nest.flatten(outputs)[0]).tolist()


def answers_of_signatures(signatures) -> dict[str, list]:
    """Returns what an exported policy answers."""
    if "step" in signatures:
        return answers_of_steps(signatures)
    return answers_of_act(signatures["act"])


def write(folder: pathlib.Path) -> None:
    """Writes files of this version, and what it answers from them."""
    folder.mkdir(parents=True)
    answers = {"versions": {"dice_tf": dice_tf.__version__}}
    answers["versions"]["tensorflow"] = tf.__version__
    answers["versions"]["keras"] = keras.__version__
    for name, policy in policies().items():
        policy.save(folder / f"{name}.keras")
        saved = folder / name
        card = dice_tf.export.Card(GAME, 0, learner="none")
        dice_tf.export.export_policy(policy, saved, card=card)
        # A large graph, which compresses well.
        shutil.make_archive(str(saved), "zip", saved)
        loaded = tf.saved_model.load(saved)
        answers[name] = answers_of_signatures(loaded.signatures)
        answers[f"{name}.keras"] = answers_of_model(policy)
        shutil.rmtree(saved)
    trained = trainer()
    checkpoint = dice_tf.callbacks.Checkpoint(folder / CHECKPOINT, keep=True)
    trained.fit(epochs=2, steps_per_epoch=2, verbose=0, callbacks=[checkpoint])
    answers["curves"] = np.asarray(trained.curves).tolist()
    trained.fit(initial_epoch=2, epochs=3, steps_per_epoch=2, verbose=0)
    answers["continued curves"] = np.asarray(trained.curves).tolist()
    text = json.dumps(answers, indent=1)
    (folder / ANSWERS).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
