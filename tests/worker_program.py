"""What one worker of a MultiWorkerMirroredStrategy runs, in tests.

  python -m tests.worker_program OUT [DIE_AFTER]

`OUT` is a folder that all workers share. Each writes the gradient that it
computed there, `gradient_<worker>.npy`, and trains: the chief saves a
checkpoint after each epoch, and all continue from one that is there; worker 1
dies after `DIE_AFTER` epochs. Whoever gets to the end writes
`curves_<worker>.npy`. Before that each tries to start from an iteration of
its own, and writes the error to `disagreement_<worker>.txt`.
"""

import os
import pathlib
import sys
import time

import keras
import numpy as np
import tensorflow as tf

import dice_tf
from tests.toys import ASYMMETRIC, random_params, tabular_policies

SEED = [3, 1]
EPOCHS = 3
CHECKPOINT = "checkpoint.weights.h5"
# Each a tenth of a second.
MOST_WAITS = 1200


def lola_dice_gradient():
    """A function that returns a LOLA-DiCE gradient of two look-aheads."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 4, dtype="float64")
    policies = tabular_policies(game)
    objective = dice_tf.objectives.DiCEObjective(
        game, policies, 0.9, 6, "leave_one_out"
    )
    params = [
        [tf.constant(x) for x in own] for own in random_params(policies, 4)
    ]
    learner = dice_tf.learners.LOLADiCE(2, 0.7)
    return lambda: learner.gradient(objective, params, 0, SEED)[0]


def make_trainer(strategy=None):
    """A compiled trainer of two naive learners, always the same one."""
    game = dice_tf.games.iterated_prisoners_dilemma(4)
    objective = dice_tf.objectives.DiCEObjective(
        game, tabular_policies(game), 0.9, 6
    )
    naive = dice_tf.learners.Naive()
    trainer = dice_tf.Trainer(
        objective, [naive, naive], initial_params="random", strategy=strategy
    )
    with trainer.distribution.scope():
        optimizer = keras.optimizers.Adam(0.1)
    trainer.compile(optimizer, jit_compile=False)
    return trainer


class MarkSaved(keras.callbacks.Callback):
    """Writes a file after each epoch; the checkpoint is there by then."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch, logs=None):
        (self.folder / f"saved_{epoch + 1}").touch()


class DieAfter(keras.callbacks.Callback):
    """Kills the process, as if its machine had lost power.

    It waits for the chief to save: the chief notices that a worker is gone at
    any moment, and stops.
    """

    def __init__(self, folder, num_epochs):
        super().__init__()
        self.folder = folder
        self.num_epochs = num_epochs

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 < self.num_epochs:
            return
        for _ in range(MOST_WAITS):
            if (self.folder / f"saved_{self.num_epochs}").exists():
                break
            time.sleep(0.1)
        os._exit(9)


def disagreement(trainer, worker):
    """The error of workers that start from their own number."""
    trainer._iteration.assign(worker)
    try:
        trainer.fit(verbose=0)
    except RuntimeError as error:
        return str(error)
    finally:
        trainer._iteration.assign(0)


def train(trainer, folder, die_after):
    """Trains to the end, from the checkpoint if there is one."""
    path = folder / CHECKPOINT
    if path.exists():
        trainer.load_weights(path)
    callbacks = []
    if trainer.is_chief:
        callbacks += [
            keras.callbacks.ModelCheckpoint(path, save_weights_only=True),
            MarkSaved(folder),
        ]
    elif die_after:
        callbacks.append(DieAfter(folder, die_after))
    trainer.fit(
        epochs=EPOCHS,
        initial_epoch=trainer.iterations // 2,
        steps_per_epoch=2,
        verbose=0,
        callbacks=callbacks,
    )
    return trainer.curves


def main(folder, die_after=0):
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    worker = strategy.cluster_resolver.task_id
    folder = pathlib.Path(folder)
    compute = lola_dice_gradient()
    gradient = tf.function(lambda: strategy.run(compute), autograph=False)
    np.save(folder / f"gradient_{worker}.npy", gradient())
    trainer = make_trainer(strategy)
    (folder / f"disagreement_{worker}.txt").write_text(
        disagreement(trainer, worker)
    )
    curves = train(trainer, folder, int(die_after))
    np.save(folder / f"curves_{worker}.npy", curves)


if __name__ == "__main__":
    main(*sys.argv[1:])
