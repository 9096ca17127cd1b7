// Captures events with PostHog's SDK for pages; the last one is still in its queue when the page is left.
async ({ URL, KEY, COUNT, PLAIN }) => {
  const reported = () => performance.getEntriesByType('resource').filter((entry) => /\/e\/(\?|$)/.test(entry.name)).length
  const until = async (reached) => {
    while (!reached()) await new Promise((go) => setTimeout(go, 20))
  }
  const { posthog } = window
  await new Promise((loaded) =>
    posthog.init(KEY, {
      api_host: URL,
      autocapture: false,
      capture_pageview: false,
      capture_pageleave: false,
      disable_compression: PLAIN === '1',
      opt_out_useragent_filter: true,
      person_profiles: 'always',
      rate_limiting: { events_per_second: 1e6, events_burst_limit: 1e6 },
      loaded,
    }),
  )
  for (let number = 0; number < Number(COUNT) - 3; number++)
    posthog.capture('Order Done', { number, text: `für ${number} €`, nested: { list: [number, null, 0.5] } })
  await until(() => reported() >= 1)
  const before = reported()
  posthog.identify('user1', { email: 'a@example.com' })
  posthog.group('company', 'company1', { name: 'Initech' })
  await until(() => reported() > before)
  posthog.capture('Left', { number: -1 })
  window.dispatchEvent(new Event('pagehide'))
}
