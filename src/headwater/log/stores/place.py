"""A place named in settings → the storage that keeps objects there."""

from __future__ import annotations

from pathlib import Path

from headwater.core.errors import LogError
from headwater.log.storage import Storage
from headwater.log.stores.folder import FolderStorage


def storage_at(place: str) -> Storage:
    """The storage at a directory's path, or at a URL: ``s3://``, ``gs://``, ``az://`` or ``hdfs://``.

    Raises LogError where its client is not installed, or nothing can be made of the URL.
    """
    scheme, separator, _ = place.partition("://")
    if not separator:
        return FolderStorage(Path(place))
    try:
        if scheme == "hdfs":
            from headwater.log.stores.hdfs import HdfsStorage

            return HdfsStorage(place)
        from headwater.log.stores.objects import ObjectStorage

        return ObjectStorage(place)
    except ImportError:
        extra = "hdfs" if scheme == "hdfs" else "objects"
        raise LogError(f"{scheme}:// needs a client that is not installed: pip install 'headwater[{extra}]'") from None
