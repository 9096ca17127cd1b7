// Captures events, and one of each other kind, with PostHog's SDK for Node.
const { PostHog } = require('posthog-node')

async function main() {
  const { URL: host, KEY, COUNT, PLAIN } = process.env
  const client = new PostHog(KEY, { host, disableCompression: PLAIN === '1' })
  const failed = []
  client.on('error', (error) => failed.push(error))
  for (let number = 0; number < Number(COUNT) - 3; number++) {
    const properties = { number, text: `für ${number} €`, nested: { list: [number, null, 0.5] }, $session_id: 's1' }
    client.capture({ distinctId: `user${number % 7}`, event: 'Order Done', properties })
  }
  client.identify({ distinctId: 'user1', properties: { email: 'a@example.com' } })
  client.alias({ distinctId: 'user1', alias: 'anonymous1' })
  client.groupIdentify({ groupType: 'company', groupKey: 'company1', properties: { name: 'Initech' } })
  const flags = await client.getAllFlags('user1')
  if (Object.keys(flags).length) throw new Error(`flags: ${JSON.stringify(flags)}`)
  await client.shutdown(30000)
  if (failed.length) throw failed[0]
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
