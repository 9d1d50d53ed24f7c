"""What the tests share: paths, files written on the spot, optional peers left out."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Needs the extra `bench`; without it the golden file stands for the same authority.
collect_ignore = [] if importlib.util.find_spec("transformers") else ["test_transformers.py"]


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def write(tmp_path):
    """Writes a submission and returns its path."""

    def write(source: str | bytes, name: str = "submission.py") -> Path:
        path = tmp_path / name
        path.write_bytes(source if isinstance(source, bytes) else source.encode())
        return path

    return write
