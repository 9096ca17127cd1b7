// Reports track calls, and one of each other kind, with RudderStack's Node SDK.
const Analytics = require('@rudderstack/rudder-sdk-node')

async function main() {
  const { KEY, URL, COUNT, GZIP } = process.env
  const analytics = new Analytics(KEY, { dataPlaneUrl: URL, gzip: GZIP === '1', flushInterval: 500 })
  const failed = []
  const done = (error) => error && failed.push(error)
  for (let number = 0; number < Number(COUNT) - 5; number++) {
    const properties = { number, text: `für ${number} €`, nested: { list: [number, null, 0.5] } }
    analytics.track({ userId: `user${number % 7}`, event: 'Order Done', properties }, done)
  }
  analytics.identify({ userId: 'user1', traits: { email: 'a@example.com' } }, done)
  analytics.page({ userId: 'user1', category: 'Docs', name: 'Home', properties: { path: '/' } }, done)
  analytics.screen({ userId: 'user1', category: 'Main', name: 'Feed', properties: { tab: 2 } }, done)
  analytics.group({ userId: 'user1', groupId: 'company1', traits: { name: 'Initech' } }, done)
  analytics.alias({ userId: 'user1', previousId: 'anonymous1' }, done)
  await new Promise((resolve) => analytics.flush(resolve))
  if (failed.length) throw failed[0]
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
