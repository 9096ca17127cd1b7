"""Makes events with the CloudEvents SDK, each as one request, or in batches, and posts them with requests."""

import json
import os
from datetime import UTC, datetime, timedelta

import requests
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.http import CloudEvent as OldEvent
from cloudevents.v1.http import to_binary, to_structured

MODE, COUNT = os.environ["MODE"], int(os.environ["COUNT"])
START = datetime(2026, 1, 2, tzinfo=UTC)
session = requests.Session()
session.headers["Authorization"] = f"Bearer {os.environ['KEY']}"


def post(headers, body):
    answer = session.post(os.environ["URL"] + "/v1/cloudevents", headers=dict(headers), data=body)
    assert (answer.status_code, answer.content) == (204, b""), answer.text


batch = []
for number in range(COUNT):
    data = {"number": number, "text": f"für {number} €", "nested": {"list": [number, None, 0.5]}}
    attributes = {
        "type": "com.acme.order_done",
        "source": f"/shop/{number % 2}",
        # An id may repeat from source to source.
        "id": str(number // 2),
        "subject": "ü 1%",
        "ext1": f"e{number}",
    }
    if MODE.startswith("old"):
        event = OldEvent({**attributes, "subject": "plain", "time": (START + timedelta(milliseconds=number)).isoformat()}, data)
        post(*(to_binary(event) if MODE == "old-binary" else to_structured(event)))
        continue
    event = CloudEvent(
        {**attributes, "time": START + timedelta(milliseconds=number), "datacontenttype": "application/json"}, data
    )
    if MODE == "batch":
        batch.append(json.loads(JSONFormat().write(event)))
    else:
        made = to_binary_event(event) if MODE == "binary" else to_structured_event(event)
        post(made.headers, made.body)
for first in range(0, len(batch), 50):
    post({"content-type": "application/cloudevents-batch+json"}, json.dumps(batch[first : first + 50]).encode())
