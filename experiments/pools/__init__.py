"""The common pool: training by exact values, and pictures of episodes."""
