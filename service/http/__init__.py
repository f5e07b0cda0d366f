"""What comes over HTTP, whatever it is about: bodies, JSON, arrays, headers, and what goes wrong."""
