"""The dashboard: the calls of a source as pages on this machine. Closed names, ids, counts and times; never what a span carried."""
