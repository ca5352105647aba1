"""How a finished video becomes a file: downloaded, checked, and stored whole or not at all."""
