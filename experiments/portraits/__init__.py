"""Pictures of learning in a plane of strategies."""
