// Tracks events with Mixpanel's SDK for pages, in batches or one a request, and leaves when all of it was answered.
async ({ URL, KEY, COUNT, BATCHES, FORMAT }) => {
  const count = Number(COUNT)
  const answered = (path) => performance.getEntriesByType('resource').filter((entry) => entry.name.startsWith(`${URL}/${path}/`)).length
  const until = async (reached) => {
    while (!reached()) await new Promise((go) => setTimeout(go, 20))
  }
  performance.setResourceTimingBufferSize(5000)
  const { mixpanel } = window
  await new Promise((loaded) =>
    mixpanel.init(KEY, {
      api_host: URL,
      api_payload_format: FORMAT,
      autocapture: false,
      batch_requests: BATCHES === '1',
      batch_flush_interval_ms: 100,
      ignore_dnt: true,
      loaded,
    }),
  )
  for (let number = 0; number < count - 4; number++)
    mixpanel.track('Order Done', { number, text: `für ${number} €&+?>`, nested: { list: [number, null, 0.5] } })
  mixpanel.identify('user1')
  // The SDK sends another one of its own: where the user came from at first.
  mixpanel.people.set({ $email: 'a@example.com' })
  mixpanel.get_group('company', 'company1').set({ name: 'Initech' })
  // What was answered is taken out of the queues, which are kept for the next page otherwise.
  const queues = () => Object.keys(localStorage).filter((name) => name.startsWith('__mpq_') && !name.includes(':'))
  const waiting = () => queues().flatMap((name) => JSON.parse(localStorage.getItem(name)) ?? []).length
  const batched = () => queues().length === 3 && waiting() === 0
  const single = () => answered('track') === count - 3 && answered('engage') === 2 && answered('groups') === 1
  await until(BATCHES === '1' ? batched : single)
}
