"""Reports track calls, and one of each other kind, with RudderStack's Python SDK."""

import os

from rudderstack.analytics.client import Client

failed = []
client = Client(
    os.environ["KEY"], host=os.environ["URL"], gzip=os.environ["GZIP"] == "1", on_error=lambda *given: failed.append(given)
)
for number in range(int(os.environ["COUNT"]) - 5):
    client.track(
        f"user{number % 7}", "Order Done", {"number": number, "text": f"für {number} €", "nested": {"list": [number, None, 0.5]}}
    )
client.identify("user1", {"email": "a@example.com"})
client.page("user1", "Docs", "Home", {"path": "/"})
client.screen("user1", "Main", "Feed", {"tab": 2})
client.group("user1", "company1", {"name": "Initech"})
client.alias("anonymous1", "user1")
client.flush()
client.join()
assert not failed, failed[0]
