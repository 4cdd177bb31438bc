"""From a question to a list: resolve, filter, retrieve, rank, diversify, explain."""
