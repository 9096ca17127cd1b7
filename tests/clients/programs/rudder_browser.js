// Reports track calls, and one of each other kind that it has, with RudderStack's SDK for browsers, by one of its three ways.
async ({ URL, KEY, COUNT, WAY }) => {
  const ways = {
    single: {},
    batch: { queueOptions: { batch: { enabled: true, maxItems: 50, flushInterval: 200 }, maxItems: 2000 } },
    beacon: { useBeacon: true, beaconQueueOptions: { maxItems: 10, flushQueueInterval: 100 } },
  }
  const analytics = new window.rudderanalytics.RudderAnalytics()
  analytics.load(KEY, URL, { configUrl: URL, logLevel: 'ERROR', ...ways[WAY] })
  await new Promise((resolve) => analytics.ready(resolve))
  analytics.identify('user1', { email: 'a@example.com' })
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  for (let number = 0; number < Number(COUNT) - 4; number++) {
    analytics.track('Order Done', { number, text: `für ${number} €`, nested: { list: [number, null, 0.5] } })
    // Its queue holds a hundred and forgets the oldest; browsers take no beacon beyond 64 KiB on the way.
    while (number - (await window.arrived()) > 30) await wait(20)
  }
  analytics.page('Docs', 'Home', { tab: 1 })
  analytics.group('company1', { name: 'Initech' })
  analytics.alias('user1', 'anonymous1')
}
