// Reports self-describing events, and one of each other kind, with Snowplow's Node tracker.
const snowplow = require('@snowplow/node-tracker')

async function main() {
  const { KEY, URL, COUNT, METHOD, BASE64 } = process.env
  let succeeded = 0
  const failed = []
  const tracker = snowplow.newTracker(
    { namespace: 'ns1', appId: KEY, encodeBase64: BASE64 === '1' },
    {
      endpoint: URL,
      eventMethod: METHOD,
      bufferSize: 50,
      onRequestSuccess: (events) => (succeeded += events.length),
      onRequestFailure: ({ status, message }) => failed.push({ status, message }),
    },
  )
  for (let number = 0; number < Number(COUNT) - 3; number++) {
    tracker.setUserId(`user${number % 7}`)
    const data = { number, text: `für ${number} €`, nested: { list: [number, null, 0.5] } }
    const event = snowplow.buildSelfDescribingEvent({ event: { schema: 'iglu:com.acme/order_done/jsonschema/1-0-2', data } })
    const context = [{ schema: 'iglu:com.acme/cart/jsonschema/1-0-0', data: { size: number } }]
    tracker.track(event, context, { type: 'ttm', value: 1700000000000 + number })
  }
  tracker.track(snowplow.buildPageView({ pageUrl: 'http://shop.example/home', pageTitle: 'Home', referrer: 'http://search.example/' }))
  tracker.track(
    snowplow.buildPagePing({ pageUrl: 'http://shop.example/home', pageTitle: 'Home', minXOffset: 1, maxXOffset: 10, minYOffset: 5, maxYOffset: 200 }),
  )
  tracker.track(snowplow.buildStructEvent({ category: 'shop', action: 'buy', label: 'label', property: 'property', value: 9.5 }))
  tracker.flush()
  for (let tries = 0; succeeded < Number(COUNT) && !failed.length && tries < 1200; tries++) await new Promise((done) => setTimeout(done, 50))
  if (failed.length) throw new Error(JSON.stringify(failed[0]))
  if (succeeded !== Number(COUNT)) throw new Error(`${succeeded} events were taken`)
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
