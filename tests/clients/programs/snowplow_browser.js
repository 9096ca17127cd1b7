// Reports self-describing events, and one of each other kind, with Snowplow's tracker for browsers.
async ({ URL, KEY, COUNT, METHOD, ANONYMOUS }) => {
  const snowplow = window.snowplowBrowserTracking
  let succeeded = 0
  const failed = []
  snowplow.newTracker('sp1', URL, {
    appId: KEY,
    platform: 'web',
    connectionTimeout: 60000,
    eventMethod: METHOD,
    bufferSize: METHOD === 'post' ? 50 : 1,
    anonymousTracking: ANONYMOUS ? { withServerAnonymisation: true } : false,
    contexts: { webPage: true },
    onRequestSuccess: (events) => (succeeded += events.length),
    onRequestFailure: ({ status, message, events }) => failed.push({ status, message, events: events.length }),
  })
  const taken = async (count) => {
    while (succeeded < count && !failed.length) await new Promise((done) => setTimeout(done, 10))
    if (failed.length) throw new Error(`${succeeded} events were taken, then ${JSON.stringify(failed)}`)
  }
  if (!ANONYMOUS) snowplow.setUserId('user1')
  for (let number = 0; number < Number(COUNT) - 2; number++) {
    const data = { number, text: `für ${number} €`, nested: { list: [number, null, 0.5] } }
    const context = [{ schema: 'iglu:com.acme/cart/jsonschema/1-0-0', data: { size: number } }]
    snowplow.trackSelfDescribingEvent({ event: { schema: 'iglu:com.acme/order_done/jsonschema/1-0-2', data }, context })
    // The tracker writes its whole queue to the local storage with each event.
    if (number % 50 === 49) await taken(number + 1)
  }
  snowplow.trackPageView({ title: 'Home' })
  snowplow.trackStructEvent({ category: 'shop', action: 'buy', label: 'label', property: 'property', value: 9.5 })
  snowplow.flushBuffer()
  await taken(Number(COUNT))
}
