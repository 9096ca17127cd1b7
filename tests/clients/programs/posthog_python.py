"""Captures events, and one of each other kind, with PostHog's Python SDK."""

import os

from posthog import Posthog

failed = []
client = Posthog(
    os.environ["KEY"],
    host=os.environ["URL"],
    gzip=os.environ.get("GZIP") == "1",
    capture_mode=os.environ.get("MODE"),
    on_error=lambda *given: failed.append(given),
)
for number in range(int(os.environ["COUNT"]) - 3):
    properties = {"number": number, "text": f"für {number} €", "nested": {"list": [number, None, 0.5]}, "$session_id": "s1"}
    client.capture("Order Done", distinct_id=f"user{number % 7}", properties=properties)
client.set(distinct_id="user1", properties={"email": "a@example.com"})
client.alias(previous_id="anonymous1", distinct_id="user1")
client.group_identify("company", "company1", {"name": "Initech"})
assert client.feature_enabled("new_checkout", "user1", send_feature_flag_events=False) in (None, False)
client.flush()
client.shutdown()
assert not failed, failed[0]
