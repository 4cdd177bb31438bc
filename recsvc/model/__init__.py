"""What a model is: columns, vectors, the additive ranker, the bundle on disk, the live snapshot."""
