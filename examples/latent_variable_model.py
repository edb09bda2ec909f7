"""A discrete latent-variable model, fitted with the score function.

Data are noisy copies of three patterns. The bound on their likelihood is an
expectation with parameters in the distribution and in the cost.
"""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf

tfd = tfp.distributions


def noisy_patterns(num_data=200):
    rng = np.random.default_rng(0)
    patterns = np.repeat(np.eye(3), 3, axis=1)[rng.integers(3, size=num_data)]
    flipped = rng.uniform(size=patterns.shape) < 0.1
    return tf.constant(np.where(flipped, 1 - patterns, patterns), tf.float32)


def log_joint(prior, decoder, z, x):
    pixels = tfd.Bernoulli(logits=tf.gather(decoder, z), dtype=tf.float32)
    likelihood = tfd.Independent(pixels, reinterpreted_batch_ndims=1)
    return tfd.Categorical(logits=prior).log_prob(z) + likelihood.log_prob(x)


def main(num_steps=300):
    x, init = noisy_patterns(), keras.initializers.RandomNormal(0, 0.5, seed=0)
    params = [tf.Variable(init(shape)) for shape in [(9, 3), (3,), (3, 9)]]
    encoder, *p = params
    optimizer = keras.optimizers.Adam(0.05)

    @tf.function
    def step(seed, baseline):
        with tf.GradientTape() as tape:
            q = tfd.Categorical(logits=x @ encoder)
            graph = dice_tf.StochasticComputationGraph(
                nodes=dict(z=q),
                costs=dict(bound=lambda z: q.log_prob(z) - log_joint(*p, z, x)),
                baselines=dict(z=baseline),
            )
            cost = tf.reduce_mean(graph.objective(graph.sample(10, seed)))
        optimizer.apply(tape.gradient(cost, params), params)
        return cost

    costs = [tf.constant(6.0)]  # The last one is the next one's baseline.
    for k in range(num_steps):
        costs.append(step(tf.constant([0, k]), costs[-1]))
    each = [log_joint(*p, tf.fill([200], k), x) for k in range(3)]
    exact = -float(tf.reduce_mean(tf.reduce_logsumexp(each, axis=0)))
    print(f"Bound: {costs[1]:.2f} -> {costs[-1]:.2f}; exact: {exact:.2f}")
    return float(costs[1]), float(costs[-1]), exact


if __name__ == "__main__":
    main()
