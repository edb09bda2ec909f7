"""From settings to games, policies, learners and a trainer."""
