"""The site, for whoever looks at it."""

from __future__ import annotations

import built_site
import pytest


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The site's directory and what the build had to say; the pages are those of the checkout, everything made is elsewhere."""
    pytest.importorskip("sphinx")
    return built_site.build(tmp_path_factory.getbasetemp())
