"""The fingerprint key: made once, ours alone, the same ever after, and never made anew in silence."""

from __future__ import annotations

import stat

import pytest

from audit import keys
from audit.findings import fingerprint
from phi_guard.runtime import RuntimeDirectoryError


def test_it_is_made_once_and_kept(tmp_path):
    """So that an accepted finding is known again in the next report."""
    first = keys.fingerprint_key(tmp_path)
    assert len(first) == 32
    assert keys.fingerprint_key(tmp_path) == first
    assert stat.S_IMODE((tmp_path / keys.FINGERPRINT).stat().st_mode) == 0o600
    assert keys.fingerprint_key(tmp_path.parent) != first
    (tmp_path.parent / keys.FINGERPRINT).unlink()


def test_its_name_tells_nothing_of_it(tmp_path):
    """It names the key and no fingerprint can be made with it."""
    key = keys.fingerprint_key(tmp_path)
    name = keys.key_id(key)
    assert len(name) == 16
    assert name == keys.key_id(key) != keys.key_id(b"0" * 32)
    assert name not in key.hex()
    assert fingerprint(key, "Ada Byron") != fingerprint(name.encode(), "Ada Byron")


@pytest.mark.parametrize("content", [b"", b"short", b"0" * 33], ids=["empty", "short", "long"])
def test_a_damaged_key_is_refused_and_kept(tmp_path, content):
    """Another in its place would make every accepted finding look new."""
    (tmp_path / keys.FINGERPRINT).write_bytes(content)
    with pytest.raises(keys.KeyFileError, match="is no key of 32 bytes"):
        keys.fingerprint_key(tmp_path)
    assert (tmp_path / keys.FINGERPRINT).read_bytes() == content


def test_a_link_is_not_followed(tmp_path):
    """Somebody could have put it there."""
    (tmp_path / "elsewhere").write_bytes(b"0" * 32)
    (tmp_path / keys.FINGERPRINT).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RuntimeDirectoryError, match="is a link"):
        keys.fingerprint_key(tmp_path)


def test_a_directory_that_is_not_there_is_told(tmp_path):
    """With the reason."""
    with pytest.raises(keys.KeyFileError, match="cannot be made"):
        keys.fingerprint_key(tmp_path / "none")


def test_the_directory_is_ours_alone(tmp_path, monkeypatch):
    """Made with mode 0700; one that others may enter is refused."""
    monkeypatch.setenv("PHI_AUDIT_DIR", str(tmp_path / "audit"))
    assert stat.S_IMODE(keys.audit_dir().stat().st_mode) == 0o700
    (tmp_path / "audit").chmod(0o755)
    with pytest.raises(RuntimeDirectoryError, match="others may enter"):
        keys.audit_dir()
