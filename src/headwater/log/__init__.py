"""The log: topics of records, in partitions, durable before an append returns. See `docs/formats/log.md`."""
