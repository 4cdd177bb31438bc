"""Offline training: participation logs in, a published bundle out."""
