// Tracks events, and sets a profile and a group, with Mixpanel's SDK for Node.
const Mixpanel = require('mixpanel')

async function main() {
  const { URL: url, KEY, COUNT, VERBOSE } = process.env
  const client = Mixpanel.init(KEY, { host: new URL(url).host, protocol: 'http', key: KEY, verbose: VERBOSE === '1' })
  const done = (call) => new Promise((go, fail) => call((errors) => {
    const error = Array.isArray(errors) ? errors.find(Boolean) : errors
    return error ? fail(error) : go()
  }))
  const events = []
  for (let number = 0; number < Number(COUNT) - 4; number++) {
    const properties = {
      distinct_id: `user${number % 7}`, $insert_id: `id${number}`, number, text: `für ${number} €&+?>`, nested: { list: [number, null, 0.5] },
    }
    events.push({ event: 'Order Done', properties })
  }
  const alone = events.splice(0, 50)
  for (const { event, properties } of alone) await done((callback) => client.track(event, properties, callback))
  await done((callback) => client.track_batch(events, callback))
  await done((callback) => client.people.set('user1', { $email: 'a@example.com' }, callback))
  await done((callback) => client.groups.set('company', 'company1', { name: 'Initech' }, callback))
  await done((callback) => client.import('Imported', new Date(1700000000000), { distinct_id: 'user1' }, callback))
  const old = [{ event: 'Imported Batch', properties: { distinct_id: 'user1', time: new Date(1700000000000) } }]
  await done((callback) => client.import_batch(old, callback))
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
