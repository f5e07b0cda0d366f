"""The process that computes: tiles off the queue, one after another, into the store."""
