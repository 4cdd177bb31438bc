"""Features: what a member and a lead look like to the models, extracted the same way offline and online."""
