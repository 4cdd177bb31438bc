"""Features: what members and leads look like to the models, the same offline and online."""
