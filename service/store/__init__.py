"""What the service keeps in Redis: names and lifetimes, records, inputs, datasets and tiles."""
