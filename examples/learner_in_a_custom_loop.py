"""A learner's gradients inside a training loop of one's own.

A learner is a function from parameters to a direction. What is done with it is
the loop's business: here LOLA-DiCE meets a naive learner in the iterated
prisoner's dilemma, both inclined to cooperate at first, each with an optimiser
of its own, and gradients are clipped.
"""

import keras
import tensorflow as tf

import dice_tf


def main(num_steps=30):
    game = dice_tf.games.iterated_prisoners_dilemma(episode_length=150)
    policies = [
        dice_tf.policies.tabular(game, player_id, initializer="ones")
        for player_id in range(2)
    ]
    objective = dice_tf.objectives.DiCEObjective(
        game, policies, baseline="bellman_values", lambda_=0.9, tau=0.0
    )
    learners = [
        dice_tf.learners.LOLADiCE(num_lookaheads=1, inner_learning_rate=1.5),
        dice_tf.learners.Naive(),
    ]
    optimizers = [keras.optimizers.SGD(3.0), keras.optimizers.SGD(1.0)]
    for optimizer, policy in zip(optimizers, policies, strict=True):
        optimizer.build(policy.trainable_variables)

    @tf.function
    def step(seed):
        # Tensors, read once: both players move from the same parameters.
        params = objective.initial_params()
        directions = [
            learner.gradient(objective, params, player_id, seed)
            for player_id, learner in enumerate(learners)
        ]
        for policy, optimizer, direction in zip(
            policies, optimizers, directions, strict=True
        ):
            descent, _ = tf.clip_by_global_norm([-d for d in direction], 30.0)
            optimizer.apply(descent, policy.trainable_variables)
        return objective.play(params, seed).values

    for k in range(num_steps):
        values = step(tf.constant([0, k]))
    returns = [objective.return_scale * float(value) for value in values]
    print(f"Returns: LOLA-DiCE {returns[0]:.2f}, naive {returns[1]:.2f}")
    return returns


if __name__ == "__main__":
    main()
