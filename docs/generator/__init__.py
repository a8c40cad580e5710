"""Makes the reference pages: each module one sort of page, out of the code and the files that come with it."""
