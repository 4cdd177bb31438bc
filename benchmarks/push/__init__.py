"""Push policies on the frozen province: how many leads somebody takes, how soon, from how many."""
