// Reports track calls, and one of each other kind, with Segment's Node SDK.
const { Analytics } = require('@segment/analytics-node')

async function main() {
  const failed = []
  const analytics = new Analytics({ writeKey: process.env.KEY, host: process.env.URL, maxEventsInBatch: 100, flushInterval: 500 })
  analytics.on('error', (error) => failed.push(error))
  for (let number = 0; number < Number(process.env.COUNT) - 5; number++) {
    const properties = { number, text: `für ${number} €`, nested: { list: [number, null, 0.5] } }
    analytics.track({ userId: `user${number % 7}`, event: 'Order Done', properties })
  }
  analytics.identify({ userId: 'user1', traits: { email: 'a@example.com' } })
  analytics.page({ userId: 'user1', category: 'Docs', name: 'Home', properties: { path: '/' } })
  analytics.screen({ userId: 'user1', category: 'Main', name: 'Feed', properties: { tab: 2 } })
  analytics.group({ userId: 'user1', groupId: 'company1', traits: { name: 'Initech' } })
  analytics.alias({ userId: 'user1', previousId: 'anonymous1' })
  await analytics.closeAndFlush()
  if (failed.length) throw failed[0]
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
