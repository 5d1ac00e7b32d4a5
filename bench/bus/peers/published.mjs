// What answers POST /publish: gives the body to `send`.
export const published = (send) => (request, response) => {
  const parts = []
  request.on('data', (part) => parts.push(part))
  request.on('end', () => {
    send(Buffer.concat(parts).toString())
    response.writeHead(200, { 'Content-Length': 2 }).end('{}')
  })
}
