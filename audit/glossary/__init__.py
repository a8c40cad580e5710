"""What the words mean: the terms of this project, its exit codes, the rules of a policy's lint and the gates of a verdict."""

from audit.glossary.entry import Entry
from audit.glossary.shelf import find, names, near, read_all

__all__ = ["Entry", "find", "names", "near", "read_all"]
