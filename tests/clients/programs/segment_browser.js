// Reports track calls, and one of each other kind, with Segment's SDK for browsers, which learns from its settings where to.
async ({ URL, KEY, COUNT, STRATEGY }) => {
  const { AnalyticsBrowser } = window.AnalyticsNext
  const deliveryStrategy = STRATEGY === 'batching' ? { strategy: 'batching', config: { size: 50, timeout: 200 } } : undefined
  const analytics = AnalyticsBrowser.load(
    { writeKey: KEY, cdnURL: URL },
    { integrations: deliveryStrategy ? { 'Segment.io': { deliveryStrategy } } : {} },
  )
  await analytics.ready()
  await analytics.identify('user1', { email: 'a@example.com' })
  const sent = []
  for (let number = 0; number < Number(COUNT) - 5; number++) {
    const properties = { number, text: `für ${number} €`, nested: { list: [number, null, 0.5] } }
    sent.push(analytics.track('Order Done', properties))
    if (sent.length % 20 === 0) await Promise.all(sent)
  }
  await analytics.page('Docs', 'Home', { tab: 1 })
  await analytics.screen('Main', 'Feed', { tab: 2 })
  await analytics.group('company1', { name: 'Initech' })
  await analytics.alias('user1', 'anonymous1')
  await Promise.all(sent)
}
