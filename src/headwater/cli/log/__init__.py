"""`headwater log`: what is in a log, and what keeps it in order. One file a command."""

COMMANDS: tuple[tuple[str, str], ...] = (
    ("topics", "List the topics of a log, or the partitions of some."),
    ("cat", "Print the records of a topic."),
    ("tail", "Print the last records of a topic, and with -f those that come."),
    ("create", "Create a topic, or change its settings."),
    ("append", "Append lines of JSON to a topic as records."),
    ("export", "Write the records of a topic into files."),
    ("groups", "List consumer groups: members, offsets, lag."),
    ("sites", "Say where the shards of a log lie, who writes them, and what which site lacks."),
    ("verify", "Check all that a log has, on every site."),
    ("repair", "Bring what is damaged or missing on a site from one that has it whole."),
    ("compact", "Make sorted copies of segments that are over, and drop what is past its retention."),
)
"""Name and help, as in `headwater.cli.main`."""
