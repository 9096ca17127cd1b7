"""Every limit of Headwater in one place, with what happens at it. Names end in the unit and `_max` or `_min`."""

# Collector: a larger body gets 413 before it is decoded; what gunzips to more than the decoded limit gets 413 as well.
REQUEST_BYTES_MAX = 4 * 1024 * 1024
REQUEST_DECODED_BYTES_MAX = 16 * 1024 * 1024
# A body that was refused for its size is read on and forgotten up to here, so that its sender sees the answer.
REQUEST_DRAIN_BYTES_MAX = 32 * 1024 * 1024
REQUEST_DRAIN_S_MAX = 5.0
# Bodies held at once, all requests together; a further request gets 503 with Retry-After.
REQUEST_BODIES_BYTES_MAX = 256 * 1024 * 1024
# A connection whose request line and headers are larger is closed.
REQUEST_HEAD_BYTES_MAX = 64 * 1024
# A body that is not whole by then gets 408; a connection on which no request has begun by then is closed.
REQUEST_READ_S_MAX = 30.0
# Items of one request, and what they may grow to as records; more gets 413, and nothing of the request is kept.
REQUEST_EVENTS_MAX = 50_000
REQUEST_OUTPUT_BYTES_MAX = 64 * 1024 * 1024
# Fields of a form that holds events; a body with more is a dead letter as a whole, reason `form_fields`.
FORM_FIELDS_MAX = 64
# An event larger than this is a counted drop, reason `oversize`.
EVENT_BYTES_MAX = 1024 * 1024
# Requests in flight; further ones get 503 with Retry-After.
REQUESTS_IN_FLIGHT_MAX = 1024
# An app with a limit of events a second may bring what it did not for so long at once; beyond, its requests get 429.
RATE_BURST_S = 5.0
RATE_EVENTS_PER_S_MAX = 100_000_000
# Who is told to come again is told so up to this much later.
RETRY_AFTER_JITTER_S = 2.0
# Origins that an app may name.
ORIGINS_MAX = 100
# `event_id`, `device_id`, `user_id` and the like: a longer one makes the event a dead letter, reason `id_too_long`.
ID_BYTES_MAX = 512

# Log: bytes waiting for the next fsync; an append that finds more waits, and the collector answers 503 after a second.
APPEND_PENDING_BYTES_MAX = 64 * 1024 * 1024
APPEND_WAIT_S_MAX = 1.0
# What one write and its fsync gather from concurrent appends; the rest goes with the next one.
APPEND_GATHER_BYTES_MAX = 4 * 1024 * 1024
# A segment of this size is closed and the next one begun.
SEGMENT_BYTES_MAX = 256 * 1024 * 1024
# A storage that does not answer within this counts as silent; a site that is silent for so long leaves its shards' members.
STORAGE_TIMEOUT_S = 5.0
SITE_LOST_S = 10.0
# Calls to one site that may be unanswered for longer than that; more fail at once.
STUCK_CALLS_MAX = 8
# How long an append waits for silent sites before nobody can say any more whether it is kept.
APPEND_DOUBT_S = 30.0
# Claims of a shard that others snatched away, before the opener gives up.
CLAIM_TRIES_MAX = 12
# Appends remembered of each producer, and producers remembered, by shard: what may be repeated. A repetition of an older append
# is refused where its producer is still remembered, and would be appended again where it is not.
PRODUCER_SEQUENCES_MAX = 5
PRODUCERS_MAX = 10_000
# A writer of an object store waits so long for company, or until so many bytes have gathered; then it puts one object.
OBJECT_FLUSH_S = 0.25
OBJECT_FLUSH_BYTES_MAX = 8 * 1024 * 1024
# Between two looks at the shards of others, while there is something new and when there is nothing; in object stores a flush and
# this. A writer to whom nothing was appended between two looks puts an empty group behind the last one, so that others see it.
FOLLOW_WAIT_S_MIN = 0.02
FOLLOW_WAIT_S_MAX = 0.25
FOLLOW_OBJECTS_S_MAX = 2.0
# And for new shards, and for changes of their members.
SHARDS_LOOK_S = 1.0
MEMBERS_LOOK_S = 5.0
# A site that is no member of a shard is looked at so often, and copied what it missed once it answers.
READMIT_LOOK_S = 5.0
# Runs of segments, from one checkpoint to the next, whose parts are known at once, and whose base is.
RUNS_KNOWN_MAX = 8
BASES_KNOWN_MAX = 64
# Compacted copies of segments whose index is known at once.
COPIES_KNOWN_MAX = 8
# Compaction: segments that are over are copied together once there are so many of them, or so many bytes; at most so many bytes
# at once (or one run). Partitions are gathered in slices of so many stored bytes, put into blocks of about so many bytes of
# records, and these into objects that a put takes at once.
COMPACT_SEGMENTS_MIN = 4096
COMPACT_SOURCE_BYTES_MIN = 64 * 1024 * 1024
COMPACT_SOURCE_BYTES_MAX = 256 * 1024 * 1024
COMPACT_SLICE_BYTES = 16 * 1024 * 1024
COMPACT_BLOCK_BYTES = 1024 * 1024
COMPACT_PART_BYTES_MAX = 64 * 1024 * 1024
COMPACT_PUT_S_MAX = 60.0
# A shard's writer looks so often whether there is anything to compact, remove or repair.
UPKEEP_LOOK_S = 10.0
# What a layout names no more is deleted so long afterwards: readers look at the layout much more often.
RETENTION_GRACE_S = 3600.0
# A repair writes a segment over in pieces of this size, and only those that differ.
REPAIR_CHUNK_BYTES = 4 * 1024 * 1024
# Segments and copies that a reader found damaged and that wait to be repaired; more are left to `headwater log repair`.
REPAIR_QUEUE_MAX = 256
# Segments of one group each (object storage) between two whose header has all that the shard holds.
CHECKPOINT_SEGMENTS_MAX = 64
# Key classes of a log, and places that keep it: more are refused when headwater.toml is read.
KEY_CLASSES_MAX = 1024
LOG_SITES_MAX = 9
# Journals (consumer groups, settings of topics, numbered names): a site that does not answer in this time is left out for a
# while. Proposals that others were faster than, before the proposer gives up for now.
JOURNAL_TIMEOUT_S = 2.0
JOURNAL_TRIES_MAX = 12
# A member of a consumer group of which nothing is seen for so long is expelled, and the others share its units.
GROUP_LEASE_S = 10.0
# A member looks at its group at most so often.
GROUP_LOOK_S = 0.5
# A join that would make a group larger is refused. And the name of a member or its host: a longer one is refused.
GROUP_MEMBERS_MAX = 1_000
GROUP_UNITS_MAX = 20_000
GROUP_MEMBER_NAME_BYTES_MAX = 200
# Topics with settings; a further one is refused, unless one that was deleted can be forgotten for it.
TOPICS_MAX = 10_000
# How old the settings of a topic may be that a process goes by.
TOPIC_SETTINGS_AGE_S_MAX = 5.0
# Numbered names (collectors); a further one is refused.
NUMBERED_NAMES_MAX = 10_000
# Stretches of damaged records that are remembered, so that each is counted once; of more, the oldest may be counted again.
QUARANTINED_KNOWN_MAX = 1000
# A read looks through at most so many bytes of a segment for records after the first.
FETCH_BYTES_MAX = 8 * 1024 * 1024
# Index of a segment: one entry per partition and so many bytes of the file.
INDEX_INTERVAL_BYTES = 64 * 1024
# Its entries lie further apart where it has many partitions: so many bytes for each.
INDEX_PLACE_BYTES = 256

# Storages of the log: a longer name, or a longer part of one between slashes, is refused.
OBJECT_NAME_BYTES_MAX = 900
OBJECT_NAME_PART_BYTES_MAX = 200
# Names that are known to be good; beyond it those met longest ago are checked again.
OBJECT_NAMES_KNOWN_MAX = 2_000
# A request to an object store that is not answered by then, or a connection that is not made, makes the store unavailable.
STORAGE_REQUEST_S_MAX = 10.0
STORAGE_CONNECT_S_MAX = 3.0
# Files that a folder keeps open for appends; of more, those used longest ago are closed.
STORAGE_OPEN_FILES_MAX = 256
# Directories of a folder that are known to be durable; beyond it they are forgotten, and synced again.
STORAGE_DIRECTORIES_KNOWN_MAX = 10_000
# Objects that a process appends to no more because an append failed; beyond it it appends to none.
STORAGE_FAILED_OBJECTS_MAX = 10_000
# An unfinished file of a put that is older belongs to a process that died, and is removed.
STORAGE_LEFTOVER_AGE_S_MIN = 3600

# First ETL hop: event ids remembered. Beyond it the oldest are forgotten, counted, and said on the status page.
DEDUPLICATION_IDS_MAX = 20_000_000
DEDUPLICATION_WINDOW_MS = 24 * 3600 * 1000

# Sinks: a file of this size is closed and the next one begun.
SINK_FILE_BYTES_MAX = 256 * 1024 * 1024
# Sinks that are written at once, each with an open file; the others follow. And how many of them sync at the same time: the file
# system then makes one commit for several.
SINKS_OPEN_MAX = 128
SINK_SYNC_THREADS = 8

# Registry: a schema that nests deeper or unfolds into more fields (its $refs followed) is refused.
SCHEMA_DEPTH_MAX = 64
SCHEMA_FIELDS_MAX = 20_000

# `headwater etl`: input is cut at line ends into chunks of this size; a longer line makes a longer chunk, up to the line limit,
# beyond which the run ends with an error that names the line.
BATCH_CHUNK_BYTES = 1024 * 1024
BATCH_LINE_BYTES_MAX = 256 * 1024 * 1024
# Chunks in work or waiting to be written; reading waits for the oldest.
BATCH_CHUNKS_IN_FLIGHT_MAX = 8
# Rows kept of each dataset before they are written out, so that a run with a thousand datasets needs no thousand open files.
BATCH_OUTPUT_BUFFER_BYTES = 256 * 1024

# Pauses of a worker or sink that failed: the first one, doubled each time up to the last one. It never gives up, and says so.
RETRY_WAIT_S_MIN = 0.1
RETRY_WAIT_S_MAX = 5.0

# Worker: records of one append group, and what they may give (outputs, dead letters). Where they give more, fewer are read.
WORKER_FETCH_BYTES_MAX = 1024 * 1024
WORKER_OUTPUT_BYTES_MAX = 48 * 1024 * 1024

# Rules: a deeper expression, a larger file or a longer name is a finding. Findings beyond the limit are counted, not listed.
RULE_DEPTH_MAX = 64
RULE_FILE_BYTES_MAX = 64 * 1024 * 1024
RULE_NAME_BYTES_MAX = 200
RULE_FINDINGS_MAX = 1000

# Compiling a `.proto` file of the user's own; a compiler that takes longer is ended, and the project is refused.
PROTOC_RUN_S_MAX = 30.0

# Python functions of rules: a file that takes longer to run when it is loaded is refused; a function that takes longer for one
# batch is disabled until its file changes (headwater.toml may say otherwise). A text or all values of a call that are larger are
# failures, and a reason that is longer is cut.
UDF_LOAD_S_MAX = 30.0
UDF_BATCH_MS_MAX = 5_000
UDF_VALUE_BYTES_MAX = 1024 * 1024
UDF_ANSWER_BYTES_MAX = 64 * 1024 * 1024
UDF_REASON_CHARS_MAX = 300
# Processes that functions run in, of one set of rules; a call waits for one of them.
UDF_PROCESSES_MAX = 8
