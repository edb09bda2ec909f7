"""A two-level decision: a toll is set for drivers who learn to answer it.

Drivers take the road or a detour, and descend the gradient of sampled costs.
Unless the authority's gradient runs through their steps, it raises the toll.
"""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf

tfd = tfp.distributions
PAYMENTS = dict(paid=lambda toll, drives: toll * drives)
DRIVERS_COSTS = dict(**PAYMENTS, detour=lambda drives: 1.5 * (1.0 - drives))


def mean_cost(costs, theta, phi, seed):
    toll = tfd.FiniteDiscrete([0.0, 1.0, 2.0, 3.0], logits=theta)
    drives = tfd.Bernoulli(logits=phi, dtype=tf.float32)
    nodes = {"toll": toll, "drives": drives}
    graph = dice_tf.StochasticComputationGraph(nodes, costs)
    return tf.reduce_mean(graph.objective(graph.sample(1000, seed)))


def adapted_drivers(theta, seed, num_steps=2, learning_rate=3.0):
    phi = tf.constant(0.0)
    for k in range(num_steps):
        with tf.GradientTape() as tape:
            tape.watch(phi)
            cost = mean_cost(DRIVERS_COSTS, theta, phi, seed + [0, k])
        phi -= learning_rate * tape.gradient(cost, phi)
    return phi


def main(num_iterations=60):
    theta, optimizer = tf.Variable(tf.zeros(4)), keras.optimizers.Adam(0.1)

    @tf.function
    def step(seed, foresight):
        with tf.GradientTape() as tape:
            phi = adapted_drivers(theta, seed)
            phi = foresight * phi + (1 - foresight) * tf.stop_gradient(phi)
            revenue = mean_cost(PAYMENTS, theta, phi, seed + [1, 0])
        optimizer.apply([-tape.gradient(revenue, theta)], [theta])
        return tf.reduce_sum(tf.nn.softmax(theta) * tf.range(4.0)), revenue

    found = []
    for foresight in (1.0, 0.0):
        for k in range(num_iterations):
            means = step(tf.constant([2 * k, 0]), tf.constant(foresight))
        found.append([float(mean) for mean in means])
        print(f"{foresight=}: mean toll and revenue {np.round(found[-1], 2)}")
    return found


if __name__ == "__main__":
    main()
