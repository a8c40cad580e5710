"""The door: the only modules that may open a connection to send something. They take `Cleared` and nothing else."""
