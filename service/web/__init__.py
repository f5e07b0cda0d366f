"""The web page: plain modules that a browser runs as they are, and their style."""
