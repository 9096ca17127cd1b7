"""Reports self-describing events, and one of each other kind, with Snowplow's Python tracker."""

import os
from urllib.parse import urlsplit

from snowplow_tracker import Emitter, PagePing, PageView, SelfDescribing, SelfDescribingJson, StructuredEvent, Subject, Tracker

url = urlsplit(os.environ["URL"])
failed = []
emitter = Emitter(
    url.hostname,
    protocol="http",
    port=url.port,
    method=os.environ["METHOD"],
    batch_size=50,
    on_failure=lambda sent, unsent: failed.append(unsent),
)
tracker = Tracker(
    "ns1",
    emitter,
    app_id=os.environ["KEY"],
    subject=Subject(),
    encode_base64=os.environ["BASE64"] == "1",
)
for number in range(int(os.environ["COUNT"]) - 3):
    subject = Subject().set_user_id(f"user{number % 7}")
    properties = {"number": number, "text": f"für {number} €", "nested": {"list": [number, None, 0.5]}}
    tracker.track(
        SelfDescribing(
            SelfDescribingJson("iglu:com.acme/order_done/jsonschema/1-0-2", properties),
            event_subject=subject,
            context=[SelfDescribingJson("iglu:com.acme/cart/jsonschema/1-0-0", {"size": number})],
            true_timestamp=1_700_000_000_000 + number,
        )
    )
tracker.track(PageView("http://shop.example/home", "Home", "http://search.example/"))
tracker.track(PagePing("http://shop.example/home", "Home", None, 1, 10, 5, 200))
tracker.track(StructuredEvent("shop", "buy", "label", "property", 9.5))
tracker.flush()
assert not failed, failed[0]
