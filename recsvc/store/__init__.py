"""The truth: records, events and changes in Redis or Valkey, and their way to disk and back."""
