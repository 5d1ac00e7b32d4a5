// Socket.IO over WebSocket alone, with the state that lets a client resume.
import { createServer } from 'node:http'
import { Server } from 'socket.io'

import { published } from './published.mjs'

const server = createServer(published((text) => io.emit('message', JSON.parse(text))))
const io = new Server(server, { transports: ['websocket'], connectionStateRecovery: {} })
server.listen(Number(process.argv[2]), '127.0.0.1', 4096)
