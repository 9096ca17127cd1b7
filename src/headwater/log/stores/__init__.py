"""Places that keep the log's objects: each a `Storage`, each held to the suite of `headwater.testing.storage_conformance`."""
