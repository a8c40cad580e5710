"""What a source counts while it reads, for the manifest."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from audit.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping


class Tally:
    """Counts of one source.

    Args:
        host: of the API, or the file's name.
        query: the question, by parameter.
        read_at: when reading began; now, if it is not given.

    Attributes:
        requests: made, tries again included.
        retries: those that were made again.
        pages: pages, files or row groups that came.
        bytes: of the pages' answers, or of the files.
        attached: rows with attachments.
        excluded: rows left out, by reason.
    """

    def __init__(self, host: str, query: Mapping[str, str], read_at: datetime | None = None) -> None:
        self.query = dict(query)
        self.requests = self.retries = self.pages = self.bytes = self.attached = 0
        self.excluded: Counter[str] = Counter()
        self._host = host
        self._read_at = (read_at or datetime.now(UTC)).isoformat()
        self._answers = hashlib.sha256()

    def page(self, content_sha256: bytes, size: int) -> None:
        """Count a page and take its digest into the whole."""
        self.pages += 1
        self.bytes += size
        self._answers.update(content_sha256)

    def manifest(self, answers_sha256: str = "") -> Manifest:
        """The manifest so far.

        Args:
            answers_sha256: of the file, where one digest of it all is known.
        """
        return Manifest(
            query=dict(sorted(self.query.items())),
            host=self._host,
            read_at=self._read_at,
            requests=self.requests,
            retries=self.retries,
            pages=self.pages,
            bytes=self.bytes,
            answers_sha256=answers_sha256 or (self._answers.hexdigest() if self.pages else ""),
            attached=self.attached,
            excluded=dict(sorted(self.excluded.items())),
        )
