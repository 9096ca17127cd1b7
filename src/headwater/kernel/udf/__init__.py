"""Functions of one's own in Python: `host` calls them in processes of their own, `functions` is what runs there."""
