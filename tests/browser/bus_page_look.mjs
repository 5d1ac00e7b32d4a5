// The views of the bus with something in them: accessible, and no wider than the window.
import { run } from './harness.mjs'
import { lookAtAll } from './look_at.mjs'
import { Client } from './bus_page_client.mjs'

const ROOMS = ['room:orders', 'room:chat of the warehouse in Grenoble', 'room:3']

await run(async (browser) => {
  const clients = []
  for (const user of ['ada', 'bob', 'carol', 'dave', 'erin']) clients.push(await Client.connect(user, ...ROOMS.slice(clients.length % 3)))
  clients.push(await Client.connect('ada', ROOMS[0]))
  for (let n = 1; n <= 20; n += 1) await clients[0].publish(ROOMS[n % 2], { type: 'notification', n, title: 'A sale was confirmed', lines: [n, n + 1] })
  await lookAtAll(browser, () => [
    ['bus-channels', '/bus'], ['bus-connections', '/bus?view=connections'], ['bus-people', '/bus?view=people'],
    ['bus-people-none', '/bus?view=people&filter=zed'], ['bus-messages', '/bus?view=messages&channel=room:orders&message=room:orders%4010'],
    ['bus-messages-none', '/bus?view=messages&channel=hall'], ['bus-publish', '/bus?view=publish&channel=room:orders'],
  ])
  for (const client of clients) client.close()
})
