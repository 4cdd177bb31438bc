"""Push planning: which few members get which open lead now, for a whole tenant at once."""
