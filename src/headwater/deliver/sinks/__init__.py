"""Sinks: one file each. `headwater.testing.sink_conformance` says what every one of them has to do."""
