"""The protocols that the collector speaks. A file is one protocol: endpoints, answers, and its mapping to the canonical event.

A new one is a file here, a line in `PROTOCOLS`, and a file of cases in tests/cases/protocols.
"""

from headwater.collect.protocols.cloudevents import CLOUDEVENTS
from headwater.collect.protocols.headwater import HEADWATER
from headwater.collect.protocols.interface import Protocol
from headwater.collect.protocols.mixpanel import MIXPANEL
from headwater.collect.protocols.otlp import OTLP
from headwater.collect.protocols.posthog import POSTHOG
from headwater.collect.protocols.rudderstack import RUDDERSTACK
from headwater.collect.protocols.segment import SEGMENT
from headwater.collect.protocols.snowplow import SNOWPLOW

PROTOCOLS: tuple[Protocol, ...] = (HEADWATER, SEGMENT, RUDDERSTACK, POSTHOG, MIXPANEL, SNOWPLOW, CLOUDEVENTS, OTLP)
