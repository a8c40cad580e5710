"""The watch: a project in operation looked at again and again, each look written down, and a report over all of them at the end.

`Watching` is the loop. A round scans the project as `phi-audit scan` does, judges the alerts, and looks at telemetry's switch; what it
came to is a line of the journal, a chain of hashes beside the watch's other files. `close` says what the rounds come to. Nothing here
holds a value of a trace: closed names, ids, times, counts, and reasons in our own words.
"""

from __future__ import annotations

from audit.watch.closing import Closing, close
from audit.watch.journal import Begun, Journal, JournalUnusable
from audit.watch.round import Round
from audit.watch.watching import Watching

__all__ = ["Begun", "Closing", "Journal", "JournalUnusable", "Round", "Watching", "close"]
