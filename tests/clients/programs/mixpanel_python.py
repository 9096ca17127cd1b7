"""Tracks events, and sets a profile and a group, with Mixpanel's Python SDK."""

import os

from mixpanel import BufferedConsumer, Consumer, Mixpanel

url, key, count = os.environ["URL"], os.environ["KEY"], int(os.environ["COUNT"])
kind = Consumer if os.environ["BUFFERED"] == "0" else BufferedConsumer
paths = {"events_url": "/track", "people_url": "/engage", "groups_url": "/groups", "import_url": "/import"}
consumer = kind(**{name: url + path for name, path in paths.items()})
client = Mixpanel(key, consumer=consumer)
for number in range(count - 3):
    client.track(
        f"user{number % 7}",
        "Order Done",
        {"number": number, "text": f"für {number} €&+", "nested": {"list": [number, None, 0.5]}},
    )
client.people_set("user1", {"$email": "a@example.com"})
client.group_set("company", "company1", {"name": "Initech"})
client.import_data("unused", "user1", "Imported", 1700000000, {"number": -1}, api_secret=key)
if kind is BufferedConsumer:
    consumer.flush()
