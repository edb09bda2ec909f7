"""What is written for speed: draws, sums over time, table look-ups."""
