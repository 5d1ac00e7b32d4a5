// npm ws: every message that is published goes to every client. It keeps no history.
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

import { published } from './published.mjs'

const server = createServer(published((text) => {
  for (const client of sockets.clients) client.send(text)
}))
const sockets = new WebSocketServer({ server })
server.listen(Number(process.argv[2]), '127.0.0.1', 4096)
