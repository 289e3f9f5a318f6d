"""Real servers that tests start on free ports in private directories, and what breaks the way."""
