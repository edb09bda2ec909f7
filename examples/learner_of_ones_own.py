"""A learner of one's own: ascend the common good, with a memory.

A learner maps an objective, everybody's parameters and a player to the
direction in which that player moves. This one weighs the others' values as
much as its own, and steps along a running mean of the gradients, which it
remembers in its state: tensors that a trainer keeps for each run.
"""

import keras
import tensorflow as tf

import dice_tf


class Prosocial(dice_tf.learners.Learner):
    def __init__(self, share=0.5, decay=0.5):
        self.share, self.decay = share, decay

    def init(self, params):
        # It does not know its seat yet: it remembers a mean for each of them.
        return tf.nest.map_structure(tf.zeros_like, [list(p) for p in params])

    def step(self, objective, params, player_id, seed, state):
        # The mean of two evaluations, each with its own seed, is less noisy.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(params[player_id])
            goods = []
            for evaluation_seed in dice_tf.seeds.split_seed(seed, 2):
                values = objective(params, evaluation_seed)
                mean = tf.add_n(values) / len(values)
                goods.append(values[player_id] * (1 - self.share))
                goods.append(mean * self.share)
            good = tf.add_n(goods) / 2
        gradients = tape.gradient(
            good, params[player_id], unconnected_gradients="zero"
        )
        means = [
            self.decay * mean + (1 - self.decay) * gradient
            for mean, gradient in zip(state[player_id], gradients, strict=True)
        ]
        state = [*state[:player_id], means, *state[player_id + 1 :]]
        return dice_tf.learners.LearnerStep(means, state)


def main(num_epochs=3):
    game = dice_tf.games.iterated_prisoners_dilemma()
    policies = [dice_tf.policies.tabular(game, i) for i in range(2)]
    objective = dice_tf.objectives.DiCEObjective(
        game, policies, batch_size=64, baseline="leave_one_out"
    )
    trainer = dice_tf.Trainer(objective, [Prosocial(share=1.0)] * 2)
    trainer.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    trainer.fit(epochs=num_epochs, steps_per_epoch=10, verbose=0)
    print(f"Mean return: {trainer.curves[-1].mean():.2f}")
    return trainer.curves[-1].mean()


if __name__ == "__main__":
    main()
